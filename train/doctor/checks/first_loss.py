"""The loss before the first step: is it that of a network that knows nothing?"""

import math

from tombola.train.doctor.checks.material import Material
from tombola.train.doctor.finding import Finding

FAR, OFF = 3.0, 1.5


def check_first_loss(material: Material) -> Finding:
    """Each part of the loss that has an expectation, on the first batch with fresh weights."""
    task = material.task
    try:
        values = material.trial(plain=True).first_losses(material.first_batch(augmented=False))
    except (IndexError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        return Finding("first loss", "fault", f"the loss cannot be computed: {reason}; see the labels")
    for name, value in values.items():
        if not math.isfinite(value):
            return Finding(
                "first loss", "fault", f"the first {name} loss is {value}; take smaller first weights"
            )
    expected = {name: value for name, value in task.expected_losses().items() if name in values}
    if not expected:
        said = ", ".join(f"{name} {value:.3g}" for name, value in values.items())
        return Finding("first loss", "skipped", f"nothing is known about what it should be ({said})")
    worst = max(expected, key=lambda name: abs(math.log(max(values[name], 1e-12) / expected[name])))
    value, wanted = values[worst], expected[worst]
    said = f"the first {worst} loss is {value:.3g}; a network that knows nothing has {wanted:.3g}"
    if value > FAR * wanted:
        cure = "the first weights are too large; take initialisation 'he', 'xavier' or 'default'"
        return Finding("first loss", "fault", f"{said}: {cure}")
    if value > OFF * wanted:
        return Finding("first loss", "warning", f"{said}: the first weights are rather large")
    if value < wanted / OFF:
        known = "it knows something already, as weights that were taken over do; else look at the labels"
        return Finding("first loss", "ok" if task.lineage().get("parent") else "warning", f"{said}: {known}")
    return Finding("first loss", "ok", said)
