"""Pictures and words together."""

from __future__ import annotations

from typing import Any

import torch
from entry import entry, generator
from torch import nn
from torch.export import Dim


@entry
def clip() -> dict[str, Any]:
    from transformers import CLIPConfig, CLIPModel

    text = {
        "vocab_size": 99, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 4,
        "max_position_embeddings": 20, "eos_token_id": 98, "bos_token_id": 0, "pad_token_id": 1,
    }  # fmt: skip
    vision = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 4,
        "image_size": 32, "patch_size": 8,
    }  # fmt: skip
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)

    class Similarity(nn.Module):
        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids, pixel_values, attention_mask):
            return self.model(
                input_ids=input_ids, pixel_values=pixel_values, attention_mask=attention_mask
            ).logits_per_image

    def example(number: int) -> tuple[torch.Tensor, ...]:
        draw = generator(number)
        texts, pictures, length = [(2, 3, 9), (1, 1, 4), (5, 2, 20), (3, 6, 12)][number % 4]
        ids = torch.randint(2, 98, (texts, length), generator=draw)
        ids[:, -1] = 98
        return ids, torch.randn(pictures, 3, 32, 32, generator=draw), torch.ones(texts, length, dtype=torch.long)

    texts, length = Dim("texts", min=1, max=8), Dim("length", min=3, max=20)
    return {
        "model": Similarity(CLIPModel(config)).eval(), "args": example(0), "fresh": example,
        "dynamic_shapes": {
            "input_ids": {0: texts, 1: length}, "pixel_values": {0: Dim("pictures", min=1, max=8)},
            "attention_mask": {0: texts, 1: length},
        },
    }  # fmt: skip


class _Answerer(nn.Module):
    """Visual question answering in small: a picture's cells attended to by a question's words."""

    def __init__(self):
        super().__init__()
        self.picture = nn.Sequential(nn.Conv2d(3, 16, 5, 4), nn.ReLU(), nn.Conv2d(16, 24, 3, 2))
        self.words = nn.Embedding(50, 24)
        self.attention = nn.MultiheadAttention(24, 4, batch_first=True)
        self.head = nn.Linear(24, 6)

    def forward(self, batch: dict[str, torch.Tensor]):
        cells = self.picture(batch["picture"]).flatten(2).transpose(1, 2)
        words = self.words(batch["question"])
        found, weights = self.attention(words, cells, cells)
        return {"answer": self.head(found.mean(1)), "weights": weights}


@entry
def visual_question() -> dict[str, Any]:
    batch = Dim("batch", min=1, max=8)
    return {
        "model": _Answerer().eval(),
        "args": ({"picture": torch.randn(2, 3, 40, 48), "question": torch.randint(0, 50, (2, 7))},),
        "dynamic_shapes": {"batch": {"picture": {0: batch}, "question": {0: batch, 1: Dim("words", min=1, max=20)}}},
    }  # fmt: skip
