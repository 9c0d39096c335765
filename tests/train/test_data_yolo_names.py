"""Names of classes as YOLO's files have them."""

import pytest

from tombola.train.data.boxes.readers.yolo_names import plain_names, yaml_names

YAML = {
    "list in one line": ("names: [cat, 'hot dog', \"a, b\"]\nnc: 3", {0: "cat", 1: "hot dog", 2: "a, b"}),
    "list over lines": ("nc: 2\nnames: [\n  'cat',\n  'dog',\n]\n", {0: "cat", 1: "dog"}),
    "map in one line": ("names: {0: cat, 2: 'traffic light'}", {0: "cat", 2: "traffic light"}),
    "dashes": ("names:\n- cat\n- hot dog  # tasty\n- C#\nval: x", {0: "cat", 1: "hot dog", 2: "C#"}),
    "indented dashes": ("names:\n  - cat\n\n  # pause\n  - 'do:g'\n", {0: "cat", 1: "do:g"}),
    "map of lines": ("names:  # all\n  0: cat\n  5: \"dog\"\n  '6': jack-o'-lantern\n",
                     {0: "cat", 5: "dog", 6: "jack-o'-lantern"}),
    "windows ends": ("names:\r\n  0: cat\r\n  1: dog\r\n", {0: "cat", 1: "dog"}),
    "no names": ("nc: 2\nmynames: [a]\n", {}),
    "empty": ("names:\n", {}),
    "nothing": ("# later\n", {}),
    "comments between": ("names: [\n  cat, # first\n  dog # second\n]\nnc: 2\n", {0: "cat", 1: "dog"}),
    "words that YAML takes for others": ("names: [no, 010, 1.50, 12:30, null]", dict(enumerate(
        ("no", "010", "1.50", "12:30", "null")))),
    "a name over lines": ("names:\n  - hot\n    dog\n  - >-\n    cow\n", {0: "hot dog", 1: "cow"}),
    "a quote in quotes": ("names: ['jack-o''-lantern', \"a\\u00e9\"]", {0: "jack-o'-lantern", 1: "aé"}),
    "an alias": ("old: &all [cat, dog]\nnames: *all\n", {0: "cat", 1: "dog"}),
    "numbers otherwise written": ("names: {0: cat, '1': dog, 2.0: ox}\nnc: 3", {0: "cat", 1: "dog", 2: "ox"}),
    "gaps, and nc beyond them": ("names: {0: cat, 3: dog}\nnc: 4", {0: "cat", 3: "dog"}),
    "a document mark": ("---\nnames: [cat]\n...\n", {0: "cat"}),
    "quoted keys": ("\"names\": [cat]\n'nc': '1'", {0: "cat"}),
    "tags": ("names: !!python/tuple [!!str cat, dog]", {0: "cat", 1: "dog"}),
}  # fmt: skip


@pytest.mark.parametrize("case", YAML)
def test_names_of_a_data_yaml(case: str) -> None:
    text, expected = YAML[case]
    assert yaml_names(text).names == expected


def test_names_one_a_line() -> None:
    assert plain_names("cat\r\n\n hot dog \n") == {0: "cat", 1: "hot dog"}
