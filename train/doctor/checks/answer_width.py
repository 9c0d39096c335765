"""Does the last layer tell apart as many classes as there are labels?"""

from tombola.train.doctor.checks.material import Material
from tombola.train.doctor.finding import Finding


def check_answer_width(material: Material) -> Finding:
    """Fault if the last layer's width is not the number of classes that the training labels use."""
    task = material.labelled
    wide, used = task.answer_widths(task.build_network())
    said = f"the last layer tells {wide} classes apart and the training labels use {used}"
    if wide == used:
        return Finding("answer width", "ok", said)
    unused = ", ".join(task.unused_classes()) or "some"
    cure = (
        "widen it, or take the labels that it lacks out of the data"
        if wide < used
        else f"no picture is labelled {unused}: add some, or take it out of data.classes"
    )
    return Finding("answer width", "fault", f"{said}: the last layer has the wrong width; {cure}")
