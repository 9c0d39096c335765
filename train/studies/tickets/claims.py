"""The claims about winning tickets, each answered by the numbers, whichever way they fall."""

import itertools

from tombola.train.studies.claim import Claim
from tombola.train.studies.tickets.findings import Findings, Row
from tombola.train.studies.tickets.study import Kind

# Points of error up to which Frankle et al. (2020, section 3) call a network stable.
STABLE_POINTS = 2.0
CONTROLS: dict[Kind, str] = {
    "reinit": "The same masks with other first weights do not get there",
    "foreign": "The masks that another seed found do not get there",
    "random": "Masks at random places, as sparse in each layer, do not get there",
    "untrained": "The network must be trained first: masks of the largest first weights do not get there",
}


def answer_claims(found: Findings) -> list[Claim]:
    """What can be said of the cells that are done."""
    tickets = [row for row in found.of("tickets") if row.number]
    claims = []
    if tickets:
        dense = found.of("tickets")[0]
        claims += [_reaches(tickets, dense, "Tickets"), _in_time(tickets, dense)]
        if late := found.of("late"):
            step = found.study.late_step
            claims.append(_reaches(late, dense, f"Rewound to step {step} instead, those"))
    claims += [claim for kind, text in CONTROLS.items() if (claim := _control(found, kind, text))]
    if overlaps := found.overlaps():
        row, measured, chance = overlaps[-1]
        claims.append(
            Claim(
                "Another initialisation finds another mask",
                measured.mean < 0.5,
                f"At {_left(row)} of the weights the masks of two seeds share {measured.told(3)} of what "
                f"lives in either, masks at random places {chance.told(3)}.",
            )
        )
    claims += _stable(found)
    if wide := _wide(found):
        claims.append(wide)
    return claims


def _reaches(tickets: list[Row], dense: Row, which: str) -> Claim:
    last = tickets[-1]
    winners = [row for row in tickets if row.gap.mean >= 0]
    smallest = (
        f"The smallest that do have {_left(winners[-1])}."
        if winners and winners[-1] is not last
        else "None does."
        if not winners
        else "So do larger ones."
        if len(winners) == len(tickets)
        else f"{len(winners)} of {len(tickets)} rounds do."
    )
    return Claim(
        f"{which} of {_left(last)} of the weights ({last.living:,.0f}) reach the dense test accuracy",
        last.gap.mean >= 0,
        f"{last.test.told(2)} % right against {dense.test.told(2)} % dense, {last.gap.told(2, sign=True)} "
        f"points ({last.seeds} seeds). {smallest}",
    )


def _in_time(tickets: list[Row], dense: Row) -> Claim:
    """By both measures: holds. By neither: does not."""
    last = tickets[-1]
    fastest = min(tickets, key=lambda row: row.stop.mean)
    reached = last.reached == last.seeds and last.to_dense.mean <= dense.to_dense.mean
    stopped = last.stop.mean <= dense.stop.mean
    ended = [
        f"{row.unstopped} of {row.seeds} {name} were still getting better at the last step."
        for row, name in ((dense, "dense trainings"), (last, "tickets"))
        if row.unstopped
    ]
    sentences = [
        f"Early stopping at step {last.stop.told(0)} against {dense.stop.told(0)} dense; the dense "
        f"validation accuracy is reached by {last.reached} of {last.seeds} seeds, at step "
        f"{last.to_dense.told(0)} against {dense.to_dense.told(0)}. Quickest to stop: {_left(fastest)} of "
        f"the weights, step {fastest.stop.told(0)}.",
        *ended,
    ]
    return Claim(
        "They need at most as many steps",
        reached if reached == stopped else None,
        " ".join(sentences),
    )


def _control(found: Findings, kind: Kind, text: str) -> Claim | None:
    """Below the dense network and below the ticket wherever it was tried: holds; at neither: does not."""
    rows = [(row, ticket) for row in found.of(kind) if (ticket := found.ticket(row.number))]
    if not rows:
        return None
    short = [row.gap.mean < 0 and row.gap.mean < ticket.gap.mean for row, ticket in rows]
    told = [
        f"{_left(row)}: {row.test.told(2)} % right, {row.gap.told(2, sign=True)} points to dense "
        f"(the ticket {ticket.gap.told(2, sign=True)}), early stopping at step {row.stop.told(0)} "
        f"(the ticket {ticket.stop.told(0)})"
        for row, ticket in rows
    ]
    return Claim(text, True if all(short) else None if any(short) else False, f"At {'; at '.join(told)}.")


def _stable(found: Findings) -> list[Claim]:
    """Two trainings from the same weights, in two orders, end in one basin; told apart by what they begin
    from where late tickets are tried."""
    first = [(row, f"the ticket of {_left(row)}") for row in found.of("ticket_twins")]
    late = [(row, f"the ticket of {_left(row)}") for row in found.of("late_twins")]
    step = found.study.late_step
    for row in found.of("dense_twins"):
        told = row, f"the dense network from step {row.number}"
        (late if step is not None and row.number >= step else first).insert(0, told)
    names = ("Trained twice in other orders, it ends in one basin", f"From step {step} on it does")
    return [_basin(name, rows) for name, rows in zip(names, (first, late), strict=True) if rows]


def _basin(name: str, rows: list[tuple[Row, str]]) -> Claim:
    stable = [row.barrier.mean <= STABLE_POINTS for row, _ in rows]
    told = "; ".join(f"{text} {row.barrier.told(2)}" for row, text in rows)
    return Claim(
        name,
        True if all(stable) else None if any(stable) else False,
        f"Error barrier on the line between the two, in points ({STABLE_POINTS:g} are stable): {told}.",
    )


def _wide(found: Findings) -> Claim | None:
    """Wider networks hold more tickets, and smaller ones for their size."""
    told, winners = [], []
    for network in found.study.networks:
        rows = [row for row in found.of("tickets", network) if row.number]
        if not rows:
            return None
        dense = found.of("tickets", network)[0]
        reach = [row for row in rows if row.gap.mean >= 0]
        winners.append((dense.living, len(reach), reach[-1].left if reach else 1.0))
        smallest = f"the smallest {_left(reach[-1])} ({reach[-1].living:,.0f})" if reach else "none"
        told.append(
            f"{network} ({dense.living:,.0f} weights, {dense.test.told(2)} % dense): {len(reach)} of "
            f"{len(rows)} rounds reach the dense accuracy, {smallest}"
        )
    if len(winners) < 2:
        return None
    winners.sort()
    more = [wide[1] >= narrow[1] and wide[2] <= narrow[2] for narrow, wide in itertools.pairwise(winners)]
    return Claim(
        "Wider networks hold more tickets, down to a smaller share",
        True if all(more) else None if any(more) else False,
        f"{'; '.join(told)}.",
    )


def _left(row: Row) -> str:
    return f"{100 * row.left:.1f} %"
