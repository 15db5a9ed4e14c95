//! Figures of many rounds, as tables: medians, quartiles, the ratio of lanboot to the best of the others, and whether
//! lanboot keeps the marks that it is to reach.

use std::fmt;
use std::time::Duration;

use crate::program::Program;

/// What lanboot is to reach, in the unit of the figure. Multiples are the medians of the rounds' ratios.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mark {
    /// Less than this.
    Under(f64),
    /// At least so many times what that program has.
    AtLeast(f64, Program),
    /// At most so many times what that program has.
    AtMost(f64, Program),
    /// So many times better than the best of the others: faster, or cheaper.
    Better(f64),
}

/// One section per subject, with its rows in the order in which they first appeared.
#[derive(Default)]
pub struct Table {
    sections: Vec<Section>,
    /// The section that takes figures.
    open: usize,
}

struct Section {
    name: &'static str,
    rows: Vec<Row>,
    marks: &'static [(&'static str, Mark)],
}

struct Row {
    figure: String,
    columns: Vec<(Program, Vec<f64>)>,
    /// Of the computer itself.
    computer: Vec<f64>,
}

impl Row {
    fn of(&self, program: Program) -> &[f64] {
        self.columns.iter().find(|(other, _)| *other == program).map_or(&[], |(_, values)| values)
    }

    /// lanboot's values over those of another, or of the best of all others, round by round.
    fn ratios(&self, peer: Option<Program>) -> Vec<f64> {
        let ours = self.of(Program::Lanboot).iter().enumerate();
        let is_peer = |program: Program| match peer {
            Some(peer) => program == peer,
            None => program != Program::Lanboot && program != Program::Nothing,
        };
        let best = if more_is_better(&self.figure) { f64::max } else { f64::min };
        let theirs = |round: usize| {
            let peers = self.columns.iter().filter(|(program, _)| is_peer(*program));
            peers.filter_map(|(_, values)| values.get(round).copied()).reduce(best)
        };
        ours.filter_map(|(round, ours)| Some(ours / theirs(round)?)).collect()
    }

    fn ratio(&self, peer: Option<Program>) -> f64 {
        quantile(&self.ratios(peer), 0.5)
    }
}

/// Rates of work are good when high; times, memory, losses when low.
fn more_is_better(figure: &str) -> bool {
    const UNITS: [&str; 5] = ["MiB/s", "exchanges/s", "queries/s", "requests/s", "transfers/s"];
    figure.rsplit(", ").next().is_some_and(|unit| UNITS.contains(&unit))
}

impl Mark {
    /// What is asked, what was reached, and whether that will do.
    fn judge(self, row: &Row) -> (String, String, bool) {
        match self {
            Mark::Under(bound) => {
                let median = quantile(row.of(Program::Lanboot), 0.5);
                (format!("under {}", plain(bound)), short(median), median < bound)
            }
            Mark::AtLeast(times, peer) => {
                let ratio = row.ratio(Some(peer));
                (format!("at least {} x {}", plain(times), peer.name()), short(ratio), ratio >= times)
            }
            Mark::AtMost(times, peer) => {
                let ratio = row.ratio(Some(peer));
                (format!("at most {} x {}", plain(times), peer.name()), short(ratio), ratio <= times)
            }
            Mark::Better(times) if more_is_better(&row.figure) => {
                let ratio = row.ratio(None);
                (format!("at least {} x the best other", plain(times)), short(ratio), ratio >= times)
            }
            Mark::Better(times) => {
                let ratio = row.ratio(None);
                (format!("at most {} x the best other", short(1.0 / times)), short(ratio), ratio <= 1.0 / times)
            }
        }
    }
}

impl Table {
    /// What comes next belongs to this subject, which is to keep these marks.
    pub fn open(&mut self, name: &'static str, marks: &'static [(&'static str, Mark)]) {
        self.open = self.sections.iter().position(|section| section.name == name).unwrap_or_else(|| {
            self.sections.push(Section { name, rows: Vec::new(), marks });
            self.sections.len() - 1
        });
    }

    fn row(&mut self, figure: &str) -> &mut Row {
        let rows = &mut self.sections[self.open].rows;
        let at = rows.iter().position(|row| row.figure == figure).unwrap_or_else(|| {
            rows.push(Row { figure: figure.into(), columns: Vec::new(), computer: Vec::new() });
            rows.len() - 1
        });
        &mut rows[at]
    }

    /// Takes what one round gave. `figure`: what was measured, and the unit.
    pub fn add(&mut self, figure: &str, program: Program, value: f64) {
        let row = self.row(figure);
        match row.columns.iter_mut().find(|(other, _)| *other == program) {
            Some((_, values)) => values.push(value),
            None => row.columns.push((program, vec![value])),
        }
    }

    /// Takes a figure of the computer itself.
    pub fn machine(&mut self, figure: &str, value: f64) {
        self.row(figure).computer.push(value);
    }

    /// Whether every mark is kept.
    pub fn all_kept(&self) -> bool {
        self.sections.iter().flat_map(Section::verdicts).all(|(_, kept)| kept)
    }
}

impl Section {
    /// The programs that have figures here, in their own order.
    fn programs(&self) -> Vec<Program> {
        let mut programs: Vec<Program> = Vec::new();
        for (program, _) in self.rows.iter().flat_map(|row| &row.columns) {
            if !programs.contains(program) {
                programs.push(*program);
            }
        }
        programs.sort_by_key(|program| *program as u8);
        programs
    }

    fn table(&self) -> Vec<Vec<String>> {
        let programs = self.programs();
        let compares = programs.len() > 1;
        let computer = self.rows.iter().any(|row| !row.computer.is_empty());
        let mut head: Vec<String> = vec![String::new()];
        head.extend(computer.then(|| "this computer".to_owned()));
        head.extend(programs.iter().map(|program| program.name().to_owned()));
        head.extend(compares.then(|| "lanboot / best".to_owned()));
        let mut rows = vec![head];
        for row in &self.rows {
            let mut cells = vec![row.figure.clone()];
            cells.extend(computer.then(|| shown(&row.computer)));
            cells.extend(programs.iter().map(|program| shown(row.of(*program))));
            cells.extend(
                compares.then(|| Some(row.ratio(None)).filter(|ratio| ratio.is_finite()).map_or("-".into(), short)),
            );
            rows.push(cells);
        }
        rows
    }

    /// A line for each mark, and whether it is kept. What was not measured is not kept.
    fn verdicts(&self) -> Vec<(String, bool)> {
        let verdict = |(figure, mark): &(&'static str, Mark)| {
            let row = self.rows.iter().find(|row| row.figure == *figure);
            let (asked, reached, kept) =
                row.map_or((format!("{mark:?}"), "nothing".into(), false), |row| mark.judge(row));
            (format!("{}: {asked}: {} with {reached}", figure.trim(), if kept { "kept" } else { "MISSED" }), kept)
        };
        self.marks.iter().map(verdict).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for section in &self.sections {
            writeln!(f, "### {}\n", section.name)?;
            lines(f, &section.table())?;
            writeln!(f)?;
            for (verdict, _) in section.verdicts() {
                writeln!(f, "- {verdict}")?;
            }
            if !section.marks.is_empty() {
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

/// Markdown that is a table to people as well. The first row is the head.
fn lines(f: &mut fmt::Formatter<'_>, rows: &[Vec<String>]) -> fmt::Result {
    let octets = |text: &String| text.chars().count();
    let width = |at: usize| rows.iter().map(|row| octets(&row[at])).max().unwrap_or_default().max(3);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    for (number, row) in rows.iter().enumerate() {
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            if at == 0 { write!(f, "| {cell:<width$} |")? } else { write!(f, " {cell:>width$} |")? }
        }
        writeln!(f)?;
        if number == 0 {
            for (at, width) in widths.iter().enumerate() {
                let dashes = "-".repeat(width - 1);
                if at == 0 { write!(f, "| {dashes}- |")? } else { write!(f, " {dashes}: |")? }
            }
            writeln!(f)?;
        }
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

/// Three digits are more than can be trusted.
fn short(value: f64) -> String {
    match value {
        _ if value >= 99.95 => format!("{value:.0}"),
        _ if value >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A bound as it was given.
fn plain(value: f64) -> String {
    format!("{value}")
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

    fn table(marks: &'static [(&'static str, Mark)]) -> Table {
        let mut table = Table::default();
        table.open("some", marks);
        for (ours, first, second) in [(2.0, 1.0, 4.0), (30.0, 90.0, 10.0), (8.0, 2.0, 2.5)] {
            for figure in ["some, ms", "some, MiB/s"] {
                table.add(figure, Program::Lanboot, ours);
                table.add(figure, Program::Kea, first);
                table.add(figure, Program::Dnsmasq, second);
                table.add(figure, Program::Nothing, 0.1);
            }
        }
        table.add("ours alone, ms", Program::Lanboot, 7.0);
        table
    }

    fn row(text: &str, name: &str) -> String {
        text.lines().find(|line| line.contains(name)).unwrap().to_owned()
    }

    #[test]
    fn ratio_is_the_median_of_the_rounds_ratios_to_the_best_other() {
        let text = table(&[]).to_string();
        assert!(row(&text, "| some, ms").ends_with(" 3.00 |"), "{text}");
        assert!(row(&text, "| some, MiB/s").ends_with(" 0.50 |"), "{text}");
        assert!(row(&text, "ours alone").ends_with("  - |"), "{text}");
        let head = text.lines().nth(2).unwrap();
        let at = |name| head.find(name).unwrap();
        assert!(at("lanboot") < at("dnsmasq") && at("dnsmasq") < at("Kea") && at("Kea") < at("floor"), "{text}");
    }

    #[test]
    fn marks_say_what_was_reached() {
        const MARKS: [(&str, Mark); 4] = [
            ("some, MiB/s", Mark::AtLeast(2.0, Program::Kea)),
            ("some, ms", Mark::AtMost(3.0, Program::Dnsmasq)),
            ("some, ms", Mark::Better(1.0)),
            ("ours alone, ms", Mark::Under(7.5)),
        ];
        let missed = table(&MARKS);
        let text = missed.to_string();
        assert!(row(&text, "at least 2 x Kea").ends_with("kept with 2.00"), "{text}");
        assert!(row(&text, "at most 3 x dnsmasq").ends_with("kept with 3.00"), "{text}");
        assert!(row(&text, "at most 1.00 x the best other").ends_with("MISSED with 3.00"), "{text}");
        assert!(row(&text, "under 7.5").ends_with("kept with 7.00"), "{text}");
        assert!(!missed.all_kept());
        const KEPT: [(&str, Mark); 1] = [MARKS[3]];
        assert!(table(&KEPT).all_kept());
        const ABSENT: [(&str, Mark); 1] = [("never measured, ms", Mark::Under(1.0))];
        assert!(!table(&ABSENT).all_kept());
    }

    #[test]
    fn rates_are_better_when_high() {
        for (figure, more) in [
            ("TFTP, MiB/s", true),
            ("DHCP, exchanges/s", true),
            ("idle, µs/s", false),
            ("exchange p50, ms", false),
            ("lost", false),
        ] {
            assert_eq!(more_is_better(figure), more, "{figure}");
        }
    }
}
