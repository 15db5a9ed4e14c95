//! Figures of many rounds, as a table: medians, quartiles, and the ratio of one program to the other.

use std::fmt;
use std::time::Duration;

use crate::server::Program;

/// Rows in the order in which they first appeared.
#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
    machine: Vec<(String, Vec<f64>)>,
}

struct Row {
    figure: String,
    lanboot: Vec<f64>,
    dnsmasq: Vec<f64>,
}

impl Row {
    fn of(&self, program: Program) -> &Vec<f64> {
        match program {
            Program::Lanboot => &self.lanboot,
            Program::Dnsmasq => &self.dnsmasq,
        }
    }
}

impl Table {
    /// Takes what one round gave. `figure`: what was measured, and the unit.
    pub fn add(&mut self, figure: &str, program: Program, value: f64) {
        let at = self.rows.iter().position(|row| row.figure == figure).unwrap_or_else(|| {
            self.rows.push(Row { figure: figure.into(), lanboot: Vec::new(), dnsmasq: Vec::new() });
            self.rows.len() - 1
        });
        match program {
            Program::Lanboot => self.rows[at].lanboot.push(value),
            Program::Dnsmasq => self.rows[at].dnsmasq.push(value),
        }
    }

    /// Takes a figure of the computer itself.
    pub fn machine(&mut self, figure: &str, value: f64) {
        match self.machine.iter_mut().find(|(name, _)| name == figure) {
            Some((_, values)) => values.push(value),
            None => self.machine.push((figure.into(), vec![value])),
        }
    }

    pub fn median(&self, figure: &str, program: Program) -> Option<f64> {
        let row = self.rows.iter().find(|row| row.figure == figure)?;
        Some(quantile(row.of(program), 0.5)).filter(|median| median.is_finite())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.rows.is_empty() {
            let rows = self.rows.iter().map(|row| {
                let ratios: Vec<_> = row.lanboot.iter().zip(&row.dnsmasq).map(|(ours, theirs)| ours / theirs).collect();
                [row.figure.clone(), shown(&row.lanboot), shown(&row.dnsmasq), ratio(&ratios)]
            });
            lines(f, ["", "lanboot", "dnsmasq", "ratio"], rows.collect())?;
        }
        if !self.machine.is_empty() {
            writeln!(f)?;
            let rows = self.machine.iter().map(|(figure, values)| [figure.clone(), shown(values)]);
            lines(f, ["this computer", ""], rows.collect())?;
        }
        Ok(())
    }
}

/// Markdown that is a table to people as well.
fn lines<const N: usize>(f: &mut fmt::Formatter<'_>, head: [&str; N], rows: Vec<[String; N]>) -> fmt::Result {
    let octets = |text: &str| text.chars().count();
    let mut widths = head.map(octets);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = octets(cell).max(*width);
        }
    }
    let rule = |at: usize| if at == 0 { "-".repeat(widths[at]) } else { "-".repeat(widths[at] - 1) + ":" };
    let rules: [String; N] = std::array::from_fn(|at| rule(at).to_string());
    for row in [head.map(str::to_owned), rules].iter().chain(&rows) {
        for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
            if at == 0 { write!(f, "| {cell:<width$} |")? } else { write!(f, " {cell:>width$} |")? }
        }
        writeln!(f)?;
    }
    Ok(())
}

/// The median, and in brackets the first and third quartile.
fn shown(values: &[f64]) -> String {
    if values.is_empty() {
        return "-".into();
    }
    let [low, median, high] = [0.25, 0.5, 0.75].map(|part| short(quantile(values, part)));
    format!("{median} ({low}–{high})")
}

/// The median of the rounds' ratios: both sides of each were measured within seconds.
fn ratio(ratios: &[f64]) -> String {
    let median = quantile(ratios, 0.5);
    if median.is_finite() { format!("{median:.2}") } else { "-".into() }
}

/// Three digits are more than can be trusted.
fn short(value: f64) -> String {
    match value {
        _ if value >= 99.95 => format!("{value:.0}"),
        _ if value >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = part * sorted.len().saturating_sub(1) as f64;
    let (Some(low), Some(high)) = (sorted.get(place.floor() as usize), sorted.get(place.ceil() as usize)) else {
        return f64::NAN;
    };
    low + (high - low) * place.fract()
}

/// `times`: in ascending order, one or more.
pub fn percentile(times: &[Duration], part: f64) -> Duration {
    times[((times.len() - 1) as f64 * part).round() as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_quartiles_lie_between_neighbours() {
        assert_eq!(quantile(&[4.0, 1.0, 3.0, 2.0], 0.5), 2.5);
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.25), 2.0);
        assert_eq!(shown(&[1.0, 2.0, 30.0, 400.0, 5000.0]), "30.0 (2.00–400)");
        let times: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 0.99), Duration::from_millis(99));
        assert_eq!(percentile(&times[..1], 0.99), Duration::from_millis(1));
    }

    #[test]
    fn ratio_is_the_median_of_the_rounds_ratios() {
        let mut table = Table::default();
        for (ours, theirs) in [(2.0, 1.0), (30.0, 10.0), (8.0, 2.0)] {
            table.add("some, ms", Program::Lanboot, ours);
            table.add("some, ms", Program::Dnsmasq, theirs);
        }
        table.add("ours alone, ms", Program::Lanboot, 7.0);
        let text = table.to_string();
        let row = |name: &str| text.lines().find(|line| line.contains(name)).unwrap().to_owned();
        assert!(row("some, ms").ends_with(" 3.00 |"), "{text}");
        assert!(row("ours alone").ends_with("   - |     - |"), "{text}");
        assert_eq!(table.median("some, ms", Program::Lanboot), Some(8.0));
        assert_eq!(table.median("ours alone, ms", Program::Dnsmasq), None);
    }
}
