"""The data sets that `tombola data get` knows: where their files lie, how large they are, and their hashes.

Sizes and SHA-256 of MNIST, Fashion-MNIST and VOC2007 are those that TensorFlow Datasets holds its downloads
to (github.com/tensorflow/datasets, tensorflow_datasets/url_checksums). The hashes of CIFAR are those of Keras
(github.com/keras-team/keras, keras/src/datasets/cifar10.py and cifar100.py).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class RemoteFile:
    """One file to download.

    name          what it is called on disk
    size_bytes    its length
    sha256        its hash, 64 hexadecimal digits
    urls          where it lies, its own host first, then mirrors
    unpacked      for a tar: the folder that its content becomes; the tar is removed then. Empty: not a tar.
    inside        the folder in the tar that is meant
    """

    name: str
    size_bytes: int
    sha256: str
    urls: tuple[str, ...]
    unpacked: str = ""
    inside: str = ""


@dataclass(frozen=True)
class RemoteDataSet:
    """A data set by name: what it is, what it may be used for, its files, and how a recipe names them."""

    name: str
    what: str
    rights: str
    files: tuple[RemoteFile, ...]
    recipe: str

    @property
    def size_bytes(self) -> int:
        """Bytes to download."""
        return sum(file.size_bytes for file in self.files)


def _mirrored(name: str, size_bytes: int, sha256: str, *folders: str) -> RemoteFile:
    return RemoteFile(name, size_bytes, sha256, tuple(folder + name for folder in folders))


_MNIST = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)
_FASHION = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
)
_TORONTO = "https://www.cs.toronto.edu/~kriz/"
_OXFORD = "http://host.robots.ox.ac.uk/pascal/VOC/voc2007/"
_REDMON = "http://pjreddie.com/media/files/"

_IDX_RECIPE = """\
format = "idx"
{classes}train = [
  {{ pictures = "train-images-idx3-ubyte.gz", labels = "train-labels-idx1-ubyte.gz", folds = ["!0/12"] }},
]
valid = [
  {{ pictures = "train-images-idx3-ubyte.gz", labels = "train-labels-idx1-ubyte.gz", folds = ["0/12"] }},
]
test = [{{ pictures = "t10k-images-idx3-ubyte.gz", labels = "t10k-labels-idx1-ubyte.gz" }}]
"""
_FASHION_CLASSES = """\
classes = [
  "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
]
"""
_CIFAR10_RECIPE = """\
format = "cifar"
train = [{ pictures = "cifar-10-batches-py/data_batch_*", folds = ["!0/10"] }]
valid = [{ pictures = "cifar-10-batches-py/data_batch_*", folds = ["0/10"] }]
test = [{ pictures = "cifar-10-batches-py/test_batch" }]
"""
_CIFAR100_RECIPE = """\
format = "cifar"
train = [{ pictures = "cifar-100-python/train", folds = ["!0/10"] }]
valid = [{ pictures = "cifar-100-python/train", folds = ["0/10"] }]
test = [{ pictures = "cifar-100-python/test" }]
"""
_VOC_RECIPE = """\
format = "voc"
train = [{ annotations = "trainval/Annotations", pictures = "trainval/JPEGImages", folds = ["!0/10"] }]
valid = [{ annotations = "trainval/Annotations", pictures = "trainval/JPEGImages", folds = ["0/10"] }]
test = [{ annotations = "test/Annotations", pictures = "test/JPEGImages" }]
"""

DATA_SETS = (
    RemoteDataSet(
        "mnist",
        "70,000 handwritten digits, 28 × 28, grey",
        "CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
        (
            _mirrored(
                "train-images-idx3-ubyte.gz",
                9912422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                *_MNIST,
            ),
            _mirrored(
                "train-labels-idx1-ubyte.gz",
                28881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                *_MNIST,
            ),
            _mirrored(
                "t10k-images-idx3-ubyte.gz",
                1648877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                *_MNIST,
            ),
            _mirrored(
                "t10k-labels-idx1-ubyte.gz",
                4542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                *_MNIST,
            ),
        ),
        _IDX_RECIPE.format(classes=""),
    ),
    RemoteDataSet(
        "fashion-mnist",
        "70,000 pieces of clothing, 28 × 28, grey, 10 kinds",
        "MIT, Zalando SE",
        (
            _mirrored(
                "train-images-idx3-ubyte.gz",
                26421880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                *_FASHION,
            ),
            _mirrored(
                "train-labels-idx1-ubyte.gz",
                29515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                *_FASHION,
            ),
            _mirrored(
                "t10k-images-idx3-ubyte.gz",
                4422102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                *_FASHION,
            ),
            _mirrored(
                "t10k-labels-idx1-ubyte.gz",
                5148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                *_FASHION,
            ),
        ),
        _IDX_RECIPE.format(classes=_FASHION_CLASSES),
    ),
    RemoteDataSet(
        "cifar10",
        "60,000 photos, 32 × 32, colour, 10 classes",
        "no licence given; Alex Krizhevsky asks to be cited",
        (
            RemoteFile(
                "cifar-10-python.tar.gz",
                170498071,
                "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
                (_TORONTO + "cifar-10-python.tar.gz",),
                unpacked="cifar-10-batches-py",
                inside="cifar-10-batches-py",
            ),
        ),
        _CIFAR10_RECIPE,
    ),
    RemoteDataSet(
        "cifar100",
        "60,000 photos, 32 × 32, colour, 100 classes",
        "no licence given; Alex Krizhevsky asks to be cited",
        (
            RemoteFile(
                "cifar-100-python.tar.gz",
                169001437,
                "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
                (_TORONTO + "cifar-100-python.tar.gz",),
                unpacked="cifar-100-python",
                inside="cifar-100-python",
            ),
        ),
        _CIFAR100_RECIPE,
    ),
    RemoteDataSet(
        "voc2007",
        "9,963 photos with boxes of 20 classes",
        "the photos are their Flickr authors'; for research",
        (
            RemoteFile(
                "VOCtrainval_06-Nov-2007.tar",
                460032000,
                "7d8cd951101b0957ddfd7a530bdc8a94f06121cfc1e511bb5937e973020c7508",
                (_OXFORD + "VOCtrainval_06-Nov-2007.tar", _REDMON + "VOCtrainval_06-Nov-2007.tar"),
                unpacked="trainval",
                inside="VOCdevkit/VOC2007",
            ),
            RemoteFile(
                "VOCtest_06-Nov-2007.tar",
                451020800,
                "6836888e2e01dca84577a849d339fa4f73e1e4f135d312430c4856b5609b4892",
                (_OXFORD + "VOCtest_06-Nov-2007.tar", _REDMON + "VOCtest_06-Nov-2007.tar"),
                unpacked="test",
                inside="VOCdevkit/VOC2007",
            ),
        ),
        _VOC_RECIPE,
    ),
)
