"""Pictures of a report: which training picture is nearest to a sample."""

import cv2
import numpy as np
import torch

from tombola.train.tasks.generate.exhibits import ENLARGED, nearest_exhibit


def test_the_nearest_training_picture_lies_below_its_sample() -> None:
    training = torch.linspace(0, 1, 50).view(50, 1, 1, 1).expand(50, 1, 4, 4)
    made = torch.full((2, 1, 4, 4), 0.303)
    made[1] = training[37]
    exhibit = nearest_exhibit(made, iter(training.split(20)), torch.full((3, 1, 4, 4), 0.51))
    sheet = np.asarray(cv2.imdecode(np.frombuffer(exhibit.png, np.uint8), cv2.IMREAD_GRAYSCALE))
    side = 4 * ENLARGED
    nearest = [sheet[side, place * side] for place in range(2)]
    assert nearest == [round(255 * float(training[15, 0, 0, 0])), round(255 * float(training[37, 0, 0, 0]))]
    assert "is 0.0 grey levels a pixel in the middle, of a validation picture 0.1;" in exhibit.sentence
