//! The cells of a screen as an SVG picture.

use std::fmt::Write;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

/// Size of a cell in the picture.
const CELL: (f32, f32) = (8.4, 18.0);

/// The picture.
pub(crate) fn draw(buffer: &Buffer, light: bool) -> String {
    let (width, height) = (buffer.area.width, buffer.area.height);
    let (right, bottom) = (f32::from(width) * CELL.0, f32::from(height) * CELL.1);
    let (paper, ink) = if light {
        ("#ffffff", "#24292f")
    } else {
        ("#0d1117", "#c9d1d9")
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {right} {bottom}\" \
         font-family=\"DejaVu Sans Mono,Menlo,Consolas,monospace\" font-size=\"14\">\n\
         <rect width=\"{right}\" height=\"{bottom}\" fill=\"{paper}\"/>\n"
    );
    for (at, cell) in buffer.content.iter().enumerate() {
        let (x, y) = (at % usize::from(width), at / usize::from(width));
        let (left, top) = (x as f32 * CELL.0, y as f32 * CELL.1);
        let (mut fg, mut bg) = (colour(cell.fg, light), colour(cell.bg, light));
        if cell.modifier.contains(Modifier::REVERSED) {
            (fg, bg) = (
                Some(bg.unwrap_or_else(|| paper.to_owned())),
                Some(fg.unwrap_or_else(|| ink.to_owned())),
            );
        }
        if let Some(bg) = bg {
            let (w, h) = (CELL.0 + 0.3, CELL.1);
            let _ = writeln!(
                svg,
                "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{w}\" height=\"{h}\" fill=\"{bg}\"/>"
            );
        }
        if cell.symbol() == " " {
            continue;
        }
        let bold = if cell.modifier.contains(Modifier::BOLD) {
            " font-weight=\"bold\""
        } else {
            ""
        };
        let fg = fg.unwrap_or_else(|| ink.to_owned());
        let text = cell.symbol().replace('&', "&amp;").replace('<', "&lt;");
        let base = top + 13.5;
        let _ = writeln!(
            svg,
            "<text x=\"{left:.1}\" y=\"{base:.1}\" fill=\"{fg}\"{bold}>{text}</text>"
        );
    }
    svg + "</svg>\n"
}

fn colour(colour: Color, light: bool) -> Option<String> {
    let named = match colour {
        Color::Red => ("#ff7b72", "#cf222e"),
        Color::Green => ("#7ee787", "#116329"),
        Color::Yellow => ("#e3b341", "#953800"),
        Color::Blue => ("#79c0ff", "#0550ae"),
        Color::Magenta => ("#d2a8ff", "#8250df"),
        Color::Cyan => ("#56d4dd", "#1b7c83"),
        Color::DarkGray => ("#6e7681", "#6e7781"),
        Color::Indexed(28) => ("#7ee787", "#116329"),
        Color::Indexed(31) => ("#56d4dd", "#1b7c83"),
        Color::Indexed(136) => ("#e3b341", "#953800"),
        Color::Indexed(grey @ 232..) => {
            let level = 8 + 10 * u16::from(grey - 232);
            return Some(format!("#{level:02x}{level:02x}{level:02x}"));
        }
        _ => return None,
    };
    Some(if light { named.1 } else { named.0 }.to_owned())
}
