//! The header: which session, how it ended, what is lost, where the cursor stands.

use ratatui::layout::Rect;

use super::pen::Pen;
use crate::app::App;
use crate::text::{counted, grouped};
use diffkeeper_store::when::{format_duration, format_time, wall};

/// What is less important is left out where there is no room.
pub(super) fn draw(app: &App, area: Rect, pen: &mut Pen<'_>) {
    let (theme, facts) = (pen.theme, &app.facts);
    let at = position(app);
    let used = pen.right(area, &at, theme.strong());
    let left = Rect {
        width: area.width.saturating_sub(used + 1),
        ..area
    };
    let gaps = counted(facts.gaps, "gap");
    let gap_style = if facts.gaps > 0 {
        theme.loss()
    } else {
        theme.good()
    };
    let filter = match app.filtering.text.as_str() {
        "" => String::new(),
        text => format!("filter: {text}"),
    };
    let (outcome, failed) = match &facts.outcome {
        Some((text, failed)) => (text.clone(), *failed),
        None if facts.live => ("live: recording".to_owned(), false),
        None => ("not finished".to_owned(), true),
    };
    let outcome_style = if failed { theme.alarm() } else { theme.good() };
    let wide = area.width >= 120;
    let total = format_duration(facts.end.0 / 1_000_000 * 1_000_000);
    // A long command gives way to what must be seen.
    let name = if wide { "diffkeeper  " } else { "" };
    let number = format!("#{} ", facts.session);
    let behind = number.len() + outcome.len() + facts.provenance.len() + gaps.len() + 14;
    let behind = behind
        + if wide {
            name.len() + total.len() + 2
        } else {
            0
        };
    let room = usize::from(left.width).saturating_sub(behind).max(8);
    let command = crate::text::shorten(&facts.command, if wide { room.min(60) } else { room });
    let session = format!("{number}{command}");
    let mut pieces = vec![
        (name, theme.dim()),
        (session.as_str(), theme.strong()),
        ("  ", theme.dim()),
        (outcome.as_str(), outcome_style),
        ("  ", theme.dim()),
    ];
    if wide {
        pieces.extend([(total.as_str(), theme.dim()), ("  ", theme.dim())]);
    }
    pieces.extend([
        (facts.provenance.as_str(), theme.dim()),
        (" · ", theme.dim()),
        (gaps.as_str(), gap_style),
        ("  ", theme.dim()),
        (filter.as_str(), theme.cursor()),
    ]);
    pen.pieces(left, &pieces);
}

/// Time and Seq of the cursor, with the time since the nearest mark before it.
fn position(app: &App) -> String {
    let time = if app.clock {
        wall(app.facts.start_wall, app.time)
    } else {
        format_time(app.time)
    };
    let number = format!(
        "#{}/{}",
        grouped(app.cursor.0),
        grouped(app.facts.last_seq.0)
    );
    let playing = if app.play.on {
        format!("▶ {} ", app.speed())
    } else {
        String::new()
    };
    format!("{playing}{time} {number}")
}
