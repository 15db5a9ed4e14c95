//! Where the options of a message stand: in the options field, else in `file` and `sname` (option 52), else nowhere.

use super::options::code;

/// Octets of the header fields, the mark that ends their options included.
const FILE_OCTETS: usize = 128;
const SNAME_OCTETS: usize = 64;
/// Option 52 (RFC 2132 section 9.3) with its value.
const OVERLOAD_OCTETS: usize = 3;

/// Which header fields hold no name, and so may hold options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spare {
    pub file: bool,
    pub sname: bool,
}

/// Options as octets, without the marks that end them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    pub options: Vec<u8>,
    /// `None`: not used for options.
    pub file: Option<Vec<u8>>,
    pub sname: Option<Vec<u8>>,
}

impl Layout {
    /// The options that fit. `room`: octets of the options field, its end mark not counted.
    ///
    /// First come, first served, but for those without which the answer is for nothing: what it is, whose, for how long,
    /// and a boot file's name. These stay, even where they are too long alone.
    pub fn fit(options: &[(u8, Vec<u8>)], room: usize, spare: Spare) -> Layout {
        let stays = |code: u8| matches!(code, code::MESSAGE_TYPE | code::SERVER_ID | code::LEASE_TIME | code::BOOTFILE);
        let reserved = if spare == Spare::default() { 0 } else { OVERLOAD_OCTETS };
        let staying = options.iter().filter(|(code, _)| stays(*code)).map(|(_, data)| octets(data));
        let mut left = room.saturating_sub(reserved + staying.sum::<usize>());
        let mut layout = Layout::default();
        let mut overload_at = None;
        for (code, data) in options {
            if stays(*code) {
                put(&mut layout.options, *code, data);
            } else if octets(data) <= left {
                left -= octets(data);
                put(&mut layout.options, *code, data);
            } else if reserved > 0 {
                if overload_at.is_none() {
                    overload_at = Some(layout.options.len() + 2);
                    put(&mut layout.options, code::OVERLOAD, &[0]);
                }
                let fits = spare.file && put_into(&mut layout.file, FILE_OCTETS, *code, data);
                let _ = fits || spare.sname && put_into(&mut layout.sname, SNAME_OCTETS, *code, data);
            }
        }
        if let Some(at) = overload_at {
            layout.options[at] = u8::from(layout.file.is_some()) | u8::from(layout.sname.is_some()) << 1;
        }
        layout
    }
}

/// Octets that an option takes.
fn octets(data: &[u8]) -> usize {
    data.len() + 2 * data.len().div_ceil(255).max(1)
}

/// Adds an option. A value of more than 255 octets is split (RFC 3396).
pub(super) fn put(to: &mut Vec<u8>, code: u8, data: &[u8]) {
    for part in data.chunks(255).chain(data.is_empty().then_some(&[][..])) {
        to.extend_from_slice(&[code, part.len() as u8]);
        to.extend_from_slice(part);
    }
}

/// What [`put`] added, value by value.
pub(super) fn taken_apart(mut octets: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut options: Vec<(u8, Vec<u8>)> = Vec::new();
    let mut goes_on = false;
    while let [code, length, tail @ ..] = octets {
        let (part, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        match options.last_mut().filter(|(last, _)| goes_on && last == code) {
            Some((_, data)) => data.extend_from_slice(part),
            None => options.push((*code, part.to_vec())),
        }
        (octets, goes_on) = (tail, *length == 255);
    }
    options
}

/// Puts an option into a header field, which from then on counts as used. `false`: it does not fit.
fn put_into(field: &mut Option<Vec<u8>>, field_octets: usize, code: u8, data: &[u8]) -> bool {
    let field = field.get_or_insert_default();
    let fits = field.len() + octets(data) < field_octets;
    if fits {
        put(field, code, data);
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Spare = Spare { file: true, sname: true };

    fn of(sizes: &[usize]) -> Vec<(u8, Vec<u8>)> {
        sizes.iter().zip(224..).map(|(size, code)| (code, vec![7; *size])).collect()
    }

    #[test]
    fn what_does_not_fit_goes_into_file_then_sname_then_nowhere() {
        let layout = Layout::fit(&of(&[20, 30, 100, 40, 70, 1]), 40, BOTH);
        assert_eq!((layout.options[0], layout.options[1]), (224, 20));
        assert_eq!(layout.options[22..25], [code::OVERLOAD, 1, 3]);
        assert_eq!(layout.options[25..27], [229, 1]);
        let file = layout.file.unwrap();
        assert_eq!((file[0], file[32], file.len()), (225, 227, 74));
        assert_eq!(layout.sname, Some(vec![]));
    }

    #[test]
    fn what_was_put_comes_apart_again() {
        let options = of(&[0, 1, 254, 255, 256, 600, 3]);
        let mut octets = Vec::new();
        options.iter().for_each(|(code, data)| put(&mut octets, *code, data));
        assert_eq!(octets.len(), options.iter().map(|(_, data)| super::octets(data)).sum::<usize>());
        assert_eq!(taken_apart(&octets), options);
    }

    #[test]
    fn without_spare_fields_there_is_no_option_52() {
        let layout = Layout::fit(&of(&[20, 30, 10]), 40, Spare::default());
        assert_eq!((layout.options[0], layout.options[22], layout.options.len()), (224, 226, 34));
        assert_eq!((layout.file, layout.sname), (None, None));
    }

    #[test]
    fn one_field_alone_may_be_spare() {
        let layout = Layout::fit(&of(&[30, 30]), 35, Spare { file: false, sname: true });
        assert_eq!(layout.options[32..], [code::OVERLOAD, 1, 2]);
        assert_eq!((layout.file, layout.sname.unwrap().len()), (None, 32));
    }
}
