//! A log's text as lines that can be shown: SGR colours come through, and no other control does.
//!
//! The text is hostile. Everything is rendered as text; escape sequences (ECMA-48), C0 and C1 controls and
//! bidirectional controls (Unicode 15, UAX 9) are taken out; a line is cut at a length that a page can bear. And no line
//! hides another: a sequence ends with its line, whether it was finished or not.

use anstyle_parse::{Params, Parser, Perform, Utf8Parser};

/// The most characters that are shown of one line.
const LINE_CHARS: usize = 4_096;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line {
    /// Its pieces, each in one style.
    pub spans: Vec<Span>,
    /// How many characters were left out at its end.
    pub cut: usize,
}

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Span {
    /// Its style as class names.
    pub class: String,
    /// Its text.
    pub text: String,
}

/// Splits `text` into lines. A line feed at its end begins no further line.
///
/// `style` is what the text before it has set, and becomes what this one leaves set: a log that is cut at line feeds
/// looks the same as the whole.
pub fn lines(text: &str, style: &mut Style) -> Vec<Line> {
    let mut screen = Screen {
        style: *style,
        ..Screen::default()
    };
    for line in text.split_inclusive('\n') {
        let (line, is_ended) = line.strip_suffix('\n').map_or((line, false), |line| (line, true));
        let mut parser = Parser::<Utf8Parser>::new();
        for byte in line.bytes() {
            parser.advance(&mut screen, byte);
        }
        if is_ended || !screen.line.spans.is_empty() {
            screen.end_line();
        }
    }
    *style = screen.style;
    screen.lines
}

#[derive(Default)]
struct Screen {
    lines: Vec<Line>,
    line: Line,
    chars: usize,
    style: Style,
    after_return: bool,
}

/// What SGR has set.
// Each is a switch of its own, as ECMA-48 has it.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    colour: Option<&'static str>,
    bold: bool,
    dim: bool,
    italic: bool,
    underline: bool,
}

impl Screen {
    fn end_line(&mut self) {
        self.lines.push(std::mem::take(&mut self.line));
        self.chars = 0;
        self.after_return = false;
    }

    fn put(&mut self, c: char) {
        if self.after_return {
            // A lone carriage return overwrites in a terminal; here nothing is hidden, it begins a line.
            self.end_line();
        }
        self.chars += 1;
        if self.chars > LINE_CHARS {
            self.line.cut += 1;
            return;
        }
        let class = self.style.class();
        match self.line.spans.last_mut() {
            Some(span) if span.class == class => span.text.push(c),
            _ => self.line.spans.push(Span {
                class,
                text: c.to_string(),
            }),
        }
    }
}

impl Perform for Screen {
    fn print(&mut self, c: char) {
        if !is_bidi_control(c) && !c.is_control() {
            self.put(c);
        }
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\r' => self.after_return = true,
            b'\t' => self.put('\t'),
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: u8) {
        if action == b'm' && intermediates.is_empty() && !ignore {
            self.style.select(params);
        }
    }
}

impl Style {
    /// Select Graphic Rendition, ECMA-48 section 8.3.117.
    fn select(&mut self, params: &Params) {
        let mut codes = params.iter().map(|param| param.first().copied().unwrap_or_default());
        while let Some(code) = codes.next() {
            match code {
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 => self.dim = true,
                3 => self.italic = true,
                4 => self.underline = true,
                22 => (self.bold, self.dim) = (false, false),
                23 => self.italic = false,
                24 => self.underline = false,
                30..=37 => self.colour = Some(COLOURS[usize::from(code - 30)]),
                39 => self.colour = None,
                90..=97 => self.colour = Some(COLOURS[usize::from(code - 90)]),
                // Colours by number or by value: their arguments are not codes of their own.
                38 | 48 => skip_colour(&mut codes),
                _ => {}
            }
        }
    }

    fn class(&self) -> String {
        let flags = [
            (self.bold, "sgr-bold"),
            (self.dim, "sgr-dim"),
            (self.italic, "sgr-italic"),
            (self.underline, "sgr-underline"),
        ];
        let flags = flags.into_iter().filter_map(|(set, class)| set.then_some(class));
        self.colour.into_iter().chain(flags).collect::<Vec<_>>().join(" ")
    }
}

const COLOURS: [&str; 8] = [
    "sgr-black",
    "sgr-red",
    "sgr-green",
    "sgr-yellow",
    "sgr-blue",
    "sgr-magenta",
    "sgr-cyan",
    "sgr-white",
];

fn skip_colour(codes: &mut impl Iterator<Item = u16>) {
    let arguments = match codes.next() {
        Some(2) => 3,
        Some(5) => 1,
        _ => 0,
    };
    codes.take(arguments).for_each(drop);
}

/// Marks, embeddings, overrides and isolates that change the order in which text is read.
const fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Line> {
        super::lines(text, &mut Style::default())
    }

    fn plain(text: &str) -> Vec<String> {
        let joined = |line: &Line| line.spans.iter().map(|span| span.text.as_str()).collect();
        lines(text).iter().map(joined).collect()
    }

    #[test]
    fn colours_become_classes_and_end_where_they_end() {
        let line = &lines("a\u{1b}[1;31mred\u{1b}[0mb\n")[0];
        let classes: Vec<_> = line
            .spans
            .iter()
            .map(|span| (span.class.as_str(), span.text.as_str()))
            .collect();
        assert_eq!(classes, [("", "a"), ("sgr-red sgr-bold", "red"), ("", "b")]);
    }

    #[test]
    fn no_other_control_comes_through() {
        let hostile =
            "a\u{1b}]8;;http://x\u{7}link\u{1b}]8;;\u{7}\u{1b}[2J\u{1b}[H\u{8}\u{202e}b\u{9b}31mc\u{1b}[38;5;196md";
        assert_eq!(plain(hostile).concat().replace("31m", ""), "alinkbcd");
    }

    #[test]
    fn a_sequence_without_end_hides_its_own_line_at_most() {
        for begun in ["\u{1b}]0;title", "\u{1b}P", "\u{1b}_", "\u{1b}X", "\u{1b}[1;", "\u{1b}"] {
            assert_eq!(plain(&format!("a{begun}\nmore\n")), ["a", "more"], "{begun:?}");
        }
    }

    #[test]
    fn a_colour_goes_on_over_lines_and_over_pieces() {
        let whole = lines("\u{1b}[31ma\nb\n\u{1b}[0mc");
        let mut style = Style::default();
        let pieces = ["\u{1b}[31ma\n", "b\n", "\u{1b}[0mc"].map(|piece| super::lines(piece, &mut style));
        assert_eq!(whole, pieces.concat());
        assert_eq!(
            (whole[1].spans[0].class.as_str(), whole[2].spans[0].class.as_str()),
            ("sgr-red", "")
        );
    }

    #[test]
    fn a_carriage_return_hides_nothing() {
        assert_eq!(plain("10%\r100%\r\nnext\n"), ["10%", "100%", "next"]);
    }

    #[test]
    fn a_line_without_end_is_cut_and_says_so() {
        let line = &lines(&"x".repeat(LINE_CHARS + 7))[0];
        assert_eq!((line.spans[0].text.len(), line.cut), (LINE_CHARS, 7));
    }
}
