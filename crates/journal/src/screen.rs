//! Lines that stay, and below them a few that are written over: what to send to a terminal for it (ECMA-48).

/// Of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub columns: usize,
    pub rows: usize,
}

/// What stands at the end of the terminal's text.
#[derive(Default)]
pub(crate) struct Screen {
    /// Lines of the frame, the cursor below them, and the size that they were drawn for.
    drawn: usize,
    size: Option<Size>,
}

impl Screen {
    /// The octets that add these lines above the frame and draw it anew. No line of the frame is longer than the terminal is
    /// wide. Each line is overwritten before it is cut off, so that nothing flickers.
    pub fn show(&mut self, lines: &[String], frame: &[String], size: Size) -> String {
        let mut out = String::new();
        // A terminal that was made narrower has broken its lines anew: where they begin nobody knows.
        let drawn = if self.size.is_some_and(|before| before.columns > size.columns) { 0 } else { self.drawn };
        if drawn > 0 {
            out += &format!("\u{1b}[{drawn}A\r");
        }
        for line in lines.iter().flat_map(|line| line.lines()).chain(frame.iter().map(String::as_str)) {
            out += line;
            out += if drawn > 0 { "\u{1b}[K\n" } else { "\n" };
        }
        if drawn > 0 {
            out += "\u{1b}[J";
        }
        (self.drawn, self.size) = (frame.len(), Some(size));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As much of a terminal as is needed: what it shows after these octets.
    fn shown(octets: &str) -> Vec<String> {
        let (mut rows, mut row, mut column) = (vec![String::new()], 0_usize, 0_usize);
        let mut chars = octets.chars();
        while let Some(c) = chars.next() {
            match c {
                '\u{1b}' => {
                    let code: String = chars.by_ref().skip(1).take_while_inclusive();
                    match code.split_at(code.len() - 1) {
                        (count, "A") => row -= count.parse::<usize>().unwrap(),
                        (_, "K") => rows[row].truncate(column),
                        (_, "J") => {
                            rows[row].truncate(column);
                            rows.truncate(row + 1);
                        }
                        other => panic!("{other:?}"),
                    }
                }
                '\r' => column = 0,
                '\n' => {
                    (row, column) = (row + 1, 0);
                    if row == rows.len() {
                        rows.push(String::new());
                    }
                }
                c => {
                    let tail: String = rows[row].chars().skip(column + 1).collect();
                    let head: String = rows[row].chars().take(column).collect();
                    rows[row] = format!("{head}{c}{tail}");
                    column += 1;
                }
            }
        }
        rows
    }

    trait UpToLetter {
        fn take_while_inclusive(self) -> String;
    }

    impl<I: Iterator<Item = char>> UpToLetter for I {
        fn take_while_inclusive(self) -> String {
            let mut code = String::new();
            for c in self {
                code.push(c);
                if c.is_ascii_alphabetic() {
                    break;
                }
            }
            code
        }
    }

    #[test]
    fn lines_stay_above_a_frame_that_is_written_over() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let size = Size { columns: 80, rows: 24 };
        let (mut screen, mut out) = (Screen::default(), String::new());
        for (lines, frame, seen) in [
            (&["calm"][..], &[][..], &["calm", ""][..]),
            (&[], &["5 machines", "of them 3 up"], &["calm", "5 machines", "of them 3 up", ""]),
            (&[], &["6 machines", "4 up"], &["calm", "6 machines", "4 up", ""]),
            (&["a warning\nwith its remedy"], &["7"], &["calm", "a warning", "with its remedy", "7", ""]),
            (&["all are up"], &[], &["calm", "a warning", "with its remedy", "all are up", ""]),
            (&["calm"], &[], &["calm", "a warning", "with its remedy", "all are up", "calm", ""]),
        ] {
            out += &screen.show(&texts(lines), &texts(frame), size);
            assert_eq!(shown(&out), seen);
        }
    }

    #[test]
    fn a_narrower_terminal_gets_a_new_frame_below() {
        let (mut screen, frame) = (Screen::default(), ["x".to_owned()]);
        let size = |columns| Size { columns, rows: 24 };
        screen.show(&[], &frame, size(80));
        assert!(screen.show(&[], &frame, size(100)).contains("\u{1b}[1A"));
        assert_eq!(screen.show(&[], &frame, size(60)), "x\n");
    }
}
