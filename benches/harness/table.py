"""Rows and columns, for a terminal and for Markdown; both are readable as they are."""


class Table:
    def __init__(self, *headings):
        self.rows = [[str(heading) for heading in headings]]

    def add(self, *cells):
        if len(cells) != len(self.rows[0]):
            raise ValueError(f"a row needs {len(self.rows[0])} cells, got {len(cells)}")
        self.rows.append([str(cell) for cell in cells])

    def markdown(self):
        widths = [max(3, *(len(row[i]) for row in self.rows)) for i in range(len(self.rows[0]))]

        def line(row):
            first = row[0].ljust(widths[0])
            rest = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
            return "| " + " | ".join([first, *rest]) + " |"

        rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
        return "\n".join([line(self.rows[0]), line(rule), *map(line, self.rows[1:])])


def number(value):
    """Three significant digits at least, never an exponent: 7.06, 82.4, 1030."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def mib(kib):
    return number(kib / 1024)
