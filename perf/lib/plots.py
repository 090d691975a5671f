"""Line charts as SVG, without libraries: a few series, linear or logarithmic axes, a legend."""

import math

COLOURS = {"upstream": "#c0392b", "upstream-synced": "#e69f00", "sluice": "#0b6e4f", "sluice-cached": "#2980b9"}
W, H, LEFT, RIGHT, TOP, BOTTOM = 760, 420, 70, 170, 40, 50


def escape(text):
    return str(text).replace("&", "&amp;").replace("<", "&lt;")


def log_ticks(low, high):
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [10.0**e for e in range(first, last + 1)]


def linear_ticks(low, high):
    span = (high - low) or 1
    step = 10 ** math.floor(math.log10(span / 4))
    step *= next(m for m in (1, 2, 5, 10) if span / (step * m) <= 6)
    first = math.ceil(low / step)
    return [k * step for k in range(first, int(high / step) + 1)]


class Axis:
    def __init__(self, values, log, low_px, high_px, ticks=None, transform=None):
        self.transform = transform or (math.log10 if log else float)
        if log:
            found = log_ticks(min(values), max(values))
            low, high = found[0], found[-1]
        else:
            low, high = min(0, min(values)), max(values) * 1.05 or 1
            found = linear_ticks(low, high)
        if ticks:
            found, low, high = ticks, ticks[0], ticks[-1]
        self.ticks = found
        self.a, self.b = self.transform(low), self.transform(high)
        self.low_px, self.high_px = low_px, high_px

    def at(self, value):
        share = (self.transform(value) - self.a) / ((self.b - self.a) or 1)
        return self.low_px + min(max(share, 0), 1) * (self.high_px - self.low_px)


def nice(value):
    if value >= 1000:
        return f"{value / 1000:g}k"
    return f"{value:g}"


def nines(percent):
    """Percentiles spread by their nines: 90, 99, 99.9 and so on stand equally far apart."""
    return -math.log10(max(1 - percent / 100, 1e-6))


def chart(title, x_name, y_name, series, log_y=True, percentiles=False, dots=False):
    """series: {name: [(x, y), ...]}. Returns SVG text, or None when there is nothing to draw."""
    series = {k: [(x, y) for x, y in v if y is not None and (y > 0 or not log_y)] for k, v in series.items()}
    series = {k: v for k, v in series.items() if v}
    if not series:
        return None
    xs = [x for v in series.values() for x, _ in v]
    ys = [y for v in series.values() for _, y in v]
    right = W - RIGHT
    if percentiles:
        xa = Axis(xs, False, LEFT, right, ticks=[0, 90, 99, 99.9, 99.99], transform=nines)
    else:
        xa = Axis(xs, False, LEFT, right)
    ya = Axis(ys, log_y, H - BOTTOM, TOP)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {W} {H}" font-family="sans-serif" font-size="12">',
        f'<rect width="{W}" height="{H}" fill="white"/><text x="{LEFT}" y="22" font-size="15">{escape(title)}</text>',
    ]
    for t in xa.ticks:
        x = xa.at(t)
        out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{H - BOTTOM}" stroke="#ddd"/>')
        out.append(f'<text x="{x:.1f}" y="{H - BOTTOM + 16}" text-anchor="middle">{nice(t)}</text>')
    for t in ya.ticks:
        y = ya.at(t)
        out.append(f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{nice(t)}</text>')
    out.append(f'<text x="{(LEFT + right) / 2}" y="{H - 12}" text-anchor="middle">{escape(x_name)}</text>')
    out.append(f'<text transform="translate(16 {H / 2}) rotate(-90)" text-anchor="middle">{escape(y_name)}</text>')
    for i, (name, points) in enumerate(series.items()):
        colour = COLOURS.get(name, "#555")
        line = " ".join(f"{xa.at(x):.1f},{ya.at(y):.1f}" for x, y in points)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        if dots:
            out += [f'<circle cx="{xa.at(x):.1f}" cy="{ya.at(y):.1f}" r="3" fill="{colour}"/>' for x, y in points]
        y = TOP + 18 * i + 10
        out.append(f'<line x1="{right + 10}" x2="{right + 30}" y1="{y - 4}" y2="{y - 4}" stroke="{colour}" stroke-width="3"/>')
        out.append(f'<text x="{right + 36}" y="{y}">{escape(name)}</text>')
    out.append("</svg>\n")
    return "\n".join(out)


def bars(title, y_name, groups, log_y=False):
    """groups: {group: {name: value}}. Grouped bars."""
    groups = {g: {n: v for n, v in d.items() if v} for g, d in groups.items()}
    groups = {g: d for g, d in groups.items() if d}
    if not groups:
        return None
    values = [v for d in groups.values() for v in d.values()]
    names = list(dict.fromkeys(n for d in groups.values() for n in d))
    right = W - RIGHT
    ya = Axis(values, log_y, H - BOTTOM, TOP)
    width = (right - LEFT) / len(groups)
    bar = width * 0.8 / max(len(names), 1)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {W} {H}" font-family="sans-serif" font-size="12">',
        f'<rect width="{W}" height="{H}" fill="white"/><text x="{LEFT}" y="22" font-size="15">{escape(title)}</text>',
        f'<text transform="translate(16 {H / 2}) rotate(-90)" text-anchor="middle">{escape(y_name)}</text>',
    ]
    for t in ya.ticks:
        y = ya.at(t)
        out.append(f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{nice(t)}</text>')
    for g, (group, d) in enumerate(groups.items()):
        x0 = LEFT + g * width + width * 0.1
        out.append(f'<text x="{LEFT + (g + 0.5) * width:.1f}" y="{H - BOTTOM + 16}" text-anchor="middle">{escape(group)}</text>')
        for i, name in enumerate(names):
            if name not in d:
                continue
            y = ya.at(d[name])
            out.append(f'<rect x="{x0 + i * bar:.1f}" y="{y:.1f}" width="{bar * 0.9:.1f}" height="{H - BOTTOM - y:.1f}" '
                       f'fill="{COLOURS.get(name, "#555")}"/>')
    for i, name in enumerate(names):
        y = TOP + 18 * i + 10
        out.append(f'<rect x="{right + 10}" y="{y - 9}" width="12" height="10" fill="{COLOURS.get(name, "#555")}"/>')
        out.append(f'<text x="{right + 28}" y="{y}">{escape(name)}</text>')
    out.append("</svg>\n")
    return "\n".join(out)
