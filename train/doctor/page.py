"""One HTML page that needs nothing beside it: no script, no style sheet, no picture file."""

import base64
from collections.abc import Sequence
from html import escape

from tombola.train.tasks.task import Exhibit, ExhibitTable

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1b1d20; --faint: #5f6670; --line: #dcdfe4;
  --card: #f6f7f9; --fault: #b3261e; --warning: #9a5b00; --ok: #1a7340; }
@media (prefers-color-scheme: dark) { :root { --ground: #131518; --ink: #e8eaed; --faint: #a2a9b3;
  --line: #363b42; --card: #1c1f24; --fault: #ff8a80; --warning: #ffb74d; --ok: #7bd99b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { margin: .5rem 0 0; font-size: 1.7rem; line-height: 1.2; }
h2 { margin: 2rem 0 .5rem; font-size: 1.2rem; border-bottom: 1px solid var(--line); }
p { margin: .3rem 0; } .faint, figcaption, dt { color: var(--faint); }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .6rem;
  margin: 1rem 0; }
dl div { background: var(--card); border-radius: .5rem; padding: .5rem .8rem; }
dt { font-size: .85rem; } dd { margin: 0; font-size: 1.15rem; font-weight: 600; }
ul { list-style: none; margin: 0; padding: 0; }
li { padding: .45rem .7rem; margin: .4rem 0; background: var(--card); border-left: .3rem solid var(--line);
  border-radius: .3rem; }
li b { margin-right: .4rem; }
.fault { border-color: var(--fault); } .fault b { color: var(--fault); }
.warning { border-color: var(--warning); } .warning b { color: var(--warning); }
.ok { border-color: var(--ok); } .ok b { color: var(--ok); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-size: .9rem; } figcaption b { display: block; color: var(--ink); }
img { display: block; width: 100%; max-width: 44rem; height: auto; border-radius: .3rem; }
details { margin: .6rem 0; } summary { cursor: pointer; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; }
th, td { padding: .15rem .7rem .15rem 0; text-align: left; white-space: nowrap; }
td + td { text-align: right; font-variant-numeric: tabular-nums; }
pre { overflow-x: auto; background: var(--card); padding: .7rem; border-radius: .3rem; font-size: .8rem; }
"""


def html_page(title: str, subtitle: str, sections: Sequence[str]) -> str:
    """The whole page; sections are HTML, title and subtitle text."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<h1>{escape(title)}</h1>\n<p class="faint">{escape(subtitle)}</p>\n'
        + "\n".join(sections)
        + "\n</body>\n</html>\n"
    )


def html_section(title: str, *content: str) -> str:
    """A heading above HTML."""
    return f"<section>\n<h2>{escape(title)}</h2>\n" + "\n".join(content) + "\n</section>"


def html_facts(facts: Sequence[tuple[str, str]]) -> str:
    """Names with their values, as tiles."""
    tiles = (f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    return f"<dl>{''.join(tiles)}</dl>"


def html_findings(findings: Sequence[tuple[str, str]]) -> str:
    """Levels (fault, warning, ok or another word) with their sentences, as a list."""
    items = (
        f'<li class="{escape(level)}"><b>{escape(level)}</b>{escape(sentence)}</li>'
        for level, sentence in findings
    )
    return "<ul>\n" + "\n".join(items) + "\n</ul>"


def html_pictures(exhibits: Sequence[Exhibit | ExhibitTable]) -> str:
    """Pictures and tables with their captions, side by side where there is room."""
    figures = (
        f"<figure><figcaption><b>{escape(one.title)}</b>{escape(one.sentence)}</figcaption>{_shown(one)}</figure>"
        for one in exhibits
    )
    return '<div class="figures">\n' + "\n".join(figures) + "\n</div>"


def _shown(exhibit: Exhibit | ExhibitTable) -> str:
    if isinstance(exhibit, ExhibitTable):
        return html_table(exhibit.columns, exhibit.rows)
    png = base64.b64encode(exhibit.png).decode("ascii")
    return f'<img alt="{escape(exhibit.title)}" src="data:image/png;base64,{png}">'


def html_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that scrolls sideways on a narrow screen."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'


def html_folded(title: str, content: str) -> str:
    """HTML behind a line that unfolds it."""
    return f"<details><summary>{escape(title)}</summary>\n{content}\n</details>"


def html_code(text: str) -> str:
    """Text as it is."""
    return f"<pre>{escape(text)}</pre>"
