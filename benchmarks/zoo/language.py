"""Language models: transformers from their configurations, and x-transformers, with random weights and tiny sizes."""

from __future__ import annotations

from typing import Any

import torch
from entry import entry, generator
from torch import nn
from torch.export import Dim

BATCH = Dim("batch", min=1, max=16)
LENGTH = Dim("length", min=2, max=48)


def _tokens(number: int, vocabulary: int, longest: int = 48) -> torch.Tensor:
    draw = generator(number)
    batch = [1, 2, 5, 16][number % 4]
    length = [2, 7, longest, 12][number % 4]
    return torch.randint(1, vocabulary, (batch, length), generator=draw)


def _masked(number: int, vocabulary: int = 120) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens, and a mask which leaves out the end of some rows, as a tokenizer pads them."""
    tokens = _tokens(number, vocabulary)
    lengths = torch.randint(1, tokens.shape[1] + 1, (tokens.shape[0], 1), generator=generator(number + 500))
    return tokens, (torch.arange(tokens.shape[1]) < lengths).long()


@entry
def bert() -> dict[str, Any]:
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=120, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
        max_position_embeddings=64,
    )  # fmt: skip
    return {
        "model": BertModel(config).eval(), "args": _masked(1),
        "dynamic_shapes": {"input_ids": {0: BATCH, 1: LENGTH}, "attention_mask": {0: BATCH, 1: LENGTH}},
        "fresh": _masked,
    }  # fmt: skip


@entry
def distilbert_classifier() -> dict[str, Any]:
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    config = DistilBertConfig(
        vocab_size=120, dim=32, n_layers=2, n_heads=4, hidden_dim=48, max_position_embeddings=64, num_labels=3
    )
    return {
        "model": DistilBertForSequenceClassification(config).eval(), "args": _masked(1),
        "dynamic_shapes": {"input_ids": {0: BATCH, 1: LENGTH}, "attention_mask": {0: BATCH, 1: LENGTH}},
        "fresh": _masked,
    }  # fmt: skip


@entry
def gpt2() -> dict[str, Any]:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=120, n_positions=64, n_embd=32, n_layer=2, n_head=4, use_cache=False)
    return {
        "model": GPT2LMHeadModel(config).eval(), "args": (_tokens(1, 120),),
        "dynamic_shapes": {"input_ids": {0: BATCH, 1: LENGTH}}, "fresh": lambda number: (_tokens(number, 120),),
    }  # fmt: skip


class _Logits(nn.Module):
    """A causal model as it is deployed: tokens in, logits out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=input_ids, use_cache=False).logits


def _causal(model: nn.Module) -> dict[str, Any]:
    return {
        "model": _Logits(model).eval(), "args": (_tokens(1, 120),),
        "dynamic_shapes": {"input_ids": {0: BATCH, 1: LENGTH}}, "fresh": lambda number: (_tokens(number, 120),),
    }  # fmt: skip


@entry
def llama() -> dict[str, Any]:
    from transformers import LlamaConfig, LlamaForCausalLM

    return _causal(
        LlamaForCausalLM(
            LlamaConfig(
                vocab_size=120, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                num_key_value_heads=2, max_position_embeddings=64,
            )
        )
    )  # fmt: skip


@entry
def qwen2() -> dict[str, Any]:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    return _causal(
        Qwen2ForCausalLM(
            Qwen2Config(
                vocab_size=120, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=True,
            )
        )
    )  # fmt: skip


class _Cached(nn.Module):
    """One step of decoding: keys and values of the past in, those with the new token out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: torch.Tensor, past: list[tuple[torch.Tensor, torch.Tensor]]
    ) -> tuple[torch.Tensor, list[tuple[torch.Tensor, torch.Tensor]]]:
        from transformers import DynamicCache

        answer = self.model(input_ids=input_ids, past_key_values=DynamicCache(past), use_cache=True)
        cache = answer.past_key_values
        return answer.logits, [(layer.keys, layer.values) for layer in cache.layers]


@entry
def llama_cached() -> dict[str, Any]:
    from transformers import LlamaConfig, LlamaForCausalLM

    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=120, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=64,
        )
    )  # fmt: skip
    past = [(torch.randn(2, 2, 6, 8), torch.randn(2, 2, 6, 8)) for _ in range(2)]
    behind = Dim("past", min=1, max=40)
    axes = {0: BATCH, 2: behind}
    return {
        "model": _Cached(model).eval(), "args": (torch.randint(0, 120, (2, 1)), past),
        "dynamic_shapes": {"input_ids": {0: BATCH}, "past": [(axes, axes), (axes, axes)]},
    }  # fmt: skip


@entry
def t5() -> dict[str, Any]:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=120, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, use_cache=False,
        decoder_start_token_id=0,
    )  # fmt: skip

    class Both(nn.Module):
        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor, decoder_input_ids: torch.Tensor) -> torch.Tensor:
            return self.model(input_ids=input_ids, decoder_input_ids=decoder_input_ids).logits

    answer = Dim("answer", min=1, max=24)
    return {
        "model": Both(T5ForConditionalGeneration(config)).eval(),
        "args": (torch.randint(1, 120, (2, 9)), torch.randint(1, 120, (2, 5))),
        "dynamic_shapes": {"input_ids": {0: BATCH, 1: LENGTH}, "decoder_input_ids": {0: BATCH, 1: answer}},
    }  # fmt: skip


@entry
def bart() -> dict[str, Any]:
    from transformers import BartConfig, BartModel

    config = BartConfig(
        vocab_size=120, d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=64, use_cache=False,
    )  # fmt: skip
    return {
        "model": BartModel(config).eval(),
        "kwargs": {"input_ids": _tokens(1, 120), "decoder_input_ids": torch.randint(4, 120, (2, 5))},
        "dynamic_shapes": {
            "input_ids": {0: BATCH, 1: LENGTH}, "decoder_input_ids": {0: BATCH, 1: Dim("answer", min=2, max=24)},
        },
    }  # fmt: skip


@entry
def xtransformers_decoder() -> dict[str, Any]:
    from x_transformers import Decoder, TransformerWrapper

    model = TransformerWrapper(
        num_tokens=120, max_seq_len=64, attn_layers=Decoder(dim=32, depth=2, heads=4, rotary_pos_emb=True)
    )
    return {"model": model.eval(), "args": (_tokens(1, 120),), "dynamic_shapes": {"x": {0: BATCH, 1: LENGTH}}}


@entry
def xtransformers_encoder() -> dict[str, Any]:
    from x_transformers import Encoder, TransformerWrapper

    model = TransformerWrapper(
        num_tokens=120, max_seq_len=64, attn_layers=Encoder(dim=32, depth=2, heads=4, use_rmsnorm=True, ff_glu=True)
    )

    def masked(number: int) -> tuple[torch.Tensor]:
        return (_tokens(number, 120),)

    return {
        "model": model.eval(), "args": masked(1), "dynamic_shapes": {"x": {0: BATCH, 1: LENGTH}}, "fresh": masked
    }  # fmt: skip


class _Word(nn.Module):
    """Text classification as in the tutorials: an embedding, a transformer encoder, the mean."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(120, 32, padding_idx=0)
        self.position = nn.Parameter(torch.randn(1, 64, 32) * 0.1)
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, 4)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        padding = tokens == 0
        hidden = self.embedding(tokens) + self.position[:, : tokens.size(1)]
        hidden = self.encoder(hidden, src_key_padding_mask=padding)
        kept = (~padding).unsqueeze(-1)
        return self.head((hidden * kept).sum(1) / kept.sum(1).clamp(min=1))


@entry
def text_classifier() -> dict[str, Any]:
    def padded(number: int) -> tuple[torch.Tensor]:
        tokens, mask = _masked(number)
        return (tokens * mask,)

    return {
        "model": _Word().eval(), "args": padded(1), "dynamic_shapes": {"tokens": {0: BATCH, 1: LENGTH}},
        "fresh": padded,
    }  # fmt: skip


class _MaskedLogits(nn.Module):
    """nanoGPT's attention: a causal mask as a buffer, cut to the length, in a written-out attention."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(120, 32)
        self.places = nn.Embedding(64, 32)
        self.qkv = nn.Linear(32, 96)
        self.out = nn.Linear(32, 32)
        self.norm = nn.LayerNorm(32)
        self.head = nn.Linear(32, 120, bias=False)
        self.head.weight = self.tokens.weight
        self.register_buffer("bias", torch.tril(torch.ones(64, 64)).view(1, 1, 64, 64))

    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        b, t = idx.size()
        assert t <= 64, f"Cannot forward sequence of length {t}"
        x = self.tokens(idx) + self.places(torch.arange(0, t, dtype=torch.long, device=idx.device))
        q, k, v = self.qkv(self.norm(x)).split(32, dim=2)
        q, k, v = (each.view(b, t, 4, 8).transpose(1, 2) for each in (q, k, v))
        scores = (q @ k.transpose(-2, -1)) * (1.0 / 8**0.5)
        scores = scores.masked_fill(self.bias[:, :, :t, :t] == 0, float("-inf")).softmax(-1)
        x = x + self.out((scores @ v).transpose(1, 2).contiguous().view(b, t, 32))
        return self.head(x)[:, [-1], :]


@entry
def nano_gpt() -> dict[str, Any]:
    return {
        "model": _MaskedLogits().eval(), "args": (_tokens(1, 120),),
        "dynamic_shapes": {"idx": {0: BATCH, 1: LENGTH}},
    }  # fmt: skip
