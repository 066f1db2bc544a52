//! Line charts as SVG: panels one below the other, each with its axes, its lines and their legend at the right.
//!
//! A chart is for PERFORMANCE.md: it has a white ground, so that it can be read in a dark page, names no font that
//! has to be there, and is the same for the same data.

use std::fmt::Write;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 78.0;
const LEGEND: f64 = 250.0;
/// Letters of a line of the legend, at about 6 units each.
const LEGEND_COLUMNS: usize = 33;
const LEGEND_LINE: f64 = 15.0;
const LEGEND_GAP: f64 = 6.0;
const TOP: f64 = 44.0;
const GAP: f64 = 30.0;
const BOTTOM: f64 = 46.0;

/// Told apart by those who see few colours too (Okabe and Ito, without yellow).
const COLORS: [&str; 8] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f5539"];

/// As many lines as can be told apart.
pub const LINES_MAX: usize = COLORS.len();

/// Values are placed by `place`, from 0 (left or bottom) to 1.
pub struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
    pub ticks: Vec<(f64, String)>,
}

pub struct Line {
    pub label: String,
    pub points: Vec<(f64, f64)>,
}

pub struct Panel {
    pub label: String,
    pub height: f64,
    pub y: Axis,
    pub lines: Vec<Line>,
}

pub struct Chart {
    pub title: String,
    pub x: Axis,
    pub x_label: String,
    pub panels: Vec<Panel>,
}

impl Axis {
    /// From 0 to at least `high`, with ticks at round numbers.
    pub fn linear(high: f64, format: impl Fn(f64) -> String) -> Axis {
        let step = round_step(high.max(1e-9) / 4.0);
        let count = (high / step).ceil().max(1.0) as u32;
        let ticks = (0..=count).map(|index| f64::from(index) * step).map(|value| (value, format(value)));
        Axis { low: 0.0, high: f64::from(count) * step, logarithmic: false, ticks: ticks.collect() }
    }

    /// Around values above 0, with ticks at 1, 2 and 5 times the powers of ten, or at the powers if there are many.
    pub fn logarithmic(low: f64, high: f64, format: impl Fn(f64) -> String) -> Axis {
        let low = low.max(1e-3);
        let high = high.max(low * 2.0);
        let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let factors: &[f64] = if high / low > 3_000.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let candidates: Vec<f64> =
            decades.flat_map(|decade| factors.iter().map(move |factor| factor * 10f64.powi(decade))).collect();
        let below = candidates.iter().rev().find(|&&value| value <= low).copied().unwrap_or(low);
        let above = candidates.iter().find(|&&value| value >= high).copied().unwrap_or(high);
        let inside = candidates.into_iter().filter(|value| (below..=above).contains(value));
        Axis { low: below, high: above, logarithmic: true, ticks: inside.map(|value| (value, format(value))).collect() }
    }

    /// With these ticks, the first and the last of which are its ends.
    pub fn logarithmic_with(ticks: Vec<(f64, String)>) -> Axis {
        let end = |tick: Option<&(f64, String)>| tick.map_or(1.0, |tick| tick.0);
        Axis { low: end(ticks.first()), high: end(ticks.last()), logarithmic: true, ticks }
    }

    fn place(&self, value: f64) -> f64 {
        let scale = |value: f64| if self.logarithmic { value.max(1e-9).log10() } else { value };
        ((scale(value) - scale(self.low)) / (scale(self.high) - scale(self.low))).clamp(0.0, 1.0)
    }
}

/// 1, 2 or 5 times a power of ten, at least `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|&round| round >= step * 0.999).unwrap_or(step)
}

impl Chart {
    pub fn svg(&self) -> String {
        let panels: f64 = self.panels.iter().map(|panel| panel.height + GAP).sum();
        let height = TOP + panels - GAP + BOTTOM;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" \
             height=\"{height:.0}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        );
        text(&mut svg, 12.0, 22.0, "font-size=\"15\" font-weight=\"bold\"", &self.title);
        let mut top = TOP;
        for panel in &self.panels {
            self.draw_panel(&mut svg, panel, top);
            top += panel.height + GAP;
        }
        let bottom = top - GAP;
        for (value, name) in &self.x.ticks {
            text(&mut svg, self.x_at(*value), bottom + 17.0, "text-anchor=\"middle\"", name);
        }
        let middle = LEFT + (WIDTH - LEFT - LEGEND) / 2.0;
        text(&mut svg, middle, bottom + 37.0, "text-anchor=\"middle\" fill=\"#555\"", &self.x_label);
        svg + "</svg>\n"
    }

    fn x_at(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (WIDTH - LEFT - LEGEND)
    }

    fn draw_panel(&self, svg: &mut String, panel: &Panel, top: f64) {
        let y_at = |value: f64| top + (1.0 - panel.y.place(value)) * panel.height;
        let (right, bottom) = (WIDTH - LEGEND, top + panel.height);
        for (value, name) in &panel.y.ticks {
            let y = y_at(*value);
            rule(svg, (LEFT, y), (right, y));
            text(svg, LEFT - 8.0, y + 4.0, "text-anchor=\"end\"", name);
        }
        for (value, _) in &self.x.ticks {
            rule(svg, (self.x_at(*value), top), (self.x_at(*value), bottom));
        }
        text(svg, LEFT, top - 8.0, "fill=\"#555\"", &panel.label);
        for (index, line) in panel.lines.iter().enumerate() {
            let color = COLORS[index % COLORS.len()];
            let mut points = String::new();
            for (x, y) in &line.points {
                let _ = write!(points, "{:.1},{:.1} ", self.x_at(*x), y_at(*y));
            }
            let points = points.trim_end();
            let _ = writeln!(
                svg,
                "<polyline points=\"{points}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\" \
                 stroke-linejoin=\"round\"/>"
            );
        }
        let mut y = top + 10.0;
        for (index, line) in legend_order(&panel.lines) {
            let color = COLORS[index % COLORS.len()];
            let _ = writeln!(
                svg,
                "<rect x=\"{:.0}\" y=\"{:.0}\" width=\"14\" height=\"4\" fill=\"{color}\"/>",
                right + 14.0,
                y - 6.0
            );
            for part in wrapped(&line.label) {
                text(svg, right + 34.0, y, "", &part);
                y += LEGEND_LINE;
            }
            y += LEGEND_GAP;
        }
    }
}

/// As the lines end at the right, the highest first: one reads across.
fn legend_order(lines: &[Line]) -> Vec<(usize, &Line)> {
    let mut order: Vec<_> = lines.iter().enumerate().collect();
    let end = |line: &Line| line.points.last().map_or(0.0, |point| point.1);
    order.sort_by(|left, right| end(right.1).total_cmp(&end(left.1)));
    order
}

/// Cut between words where a line of the legend is full.
fn wrapped(label: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in label.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= LEGEND_COLUMNS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn rule(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#ddd\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn text(svg: &mut String, x: f64, y: f64, attributes: &str, content: &str) {
    let content = content.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{content}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_the_values() {
        let ticks = |axis: &Axis| axis.ticks.iter().map(|tick| tick.0).collect::<Vec<_>>();
        assert_eq!(ticks(&Axis::linear(3.7, |value| value.to_string())), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(ticks(&Axis::linear(90.0, |value| value.to_string())), [0.0, 50.0, 100.0]);
        let axis = Axis::logarithmic(70.0, 900.0, |value| value.to_string());
        assert_eq!(ticks(&axis), [50.0, 100.0, 200.0, 500.0, 1000.0]);
        assert_eq!((axis.place(50.0), axis.place(1000.0), axis.place(1e9)), (0.0, 1.0, 1.0));
        assert_eq!(ticks(&Axis::logarithmic(1.0, 1e5, |value| value.to_string())).len(), 6);
    }

    #[test]
    fn long_labels_are_wrapped() {
        assert_eq!(wrapped("GetItem, uniform"), ["GetItem, uniform"]);
        let lines = wrapped("GetItem, uniform, open loop, while an index is filled");
        assert_eq!(lines, ["GetItem, uniform, open loop,", "while an index is filled"]);
    }

    #[test]
    fn a_chart_draws_each_line_and_escapes_its_text() {
        let line = |label: &str| Line { label: label.into(), points: vec![(1.0, 10.0), (10.0, 90.0)] };
        let panel = Panel {
            label: "us".into(),
            height: 200.0,
            y: Axis::logarithmic(10.0, 90.0, |value| value.to_string()),
            lines: vec![line("a < b"), line("c")],
        };
        let x = Axis::logarithmic_with(vec![(1.0, "0 %".into()), (10.0, "90 %".into())]);
        let svg = Chart { title: "t".into(), x, x_label: "x".into(), panels: vec![panel] }.svg();
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.contains("a &lt; b") && svg.ends_with("</svg>\n"), "{svg}");
        assert!(!svg.contains("NaN"), "{svg}");
    }
}
