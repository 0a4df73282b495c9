//! Draws the display.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::model::Model;
use crate::control::rates::{Rates, scaled, span};
use crate::control::status::{Status, WorkerState, WorkerStatus};
use crate::control::table;
use crate::staff::{Short, is_pool};

/// A column: its heading, its width, and whether it holds numbers.
const COLUMNS: [(&str, u16); 13] = [
    ("NUM", 7),
    ("PID", 8),
    ("GEN", 4),
    ("STATE", 9),
    ("UPTIME", 7),
    ("REQ/S", 7),
    ("REQUESTS", 9),
    ("CONNS", 6),
    ("ACTIVE", 6),
    ("LAG", 7),
    ("LONGEST", 8),
    ("MEMORY", 7),
    ("HEARTBEAT", 9),
];

/// A loop that was held this long is worth a look.
const LAG_SHOWN_US: u64 = 100_000;
/// A heartbeat this old, too: workers beat every second.
const HEARTBEAT_SHOWN_MS: u64 = 5_000;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let head = head(model);
    let height = u16::try_from(head.len()).unwrap_or(u16::MAX);
    let [top, middle, bottom] =
        Layout::vertical([Constraint::Length(height), Constraint::Min(1), Constraint::Length(1)]).areas(frame.area());
    frame.render_widget(Paragraph::new(Text::from(head)), top);
    let heading = COLUMNS.map(|(name, width)| Cell::from(format!("{name:>width$}", width = usize::from(width))));
    let rows = model.status.workers.iter().skip(model.hidden).map(|worker| row(worker, model.rates.as_ref()));
    let table = Table::new(rows, COLUMNS.map(|(_, width)| Constraint::Length(width)))
        .header(Row::new(heading).style(Style::new().add_modifier(Modifier::REVERSED)))
        .column_spacing(1);
    frame.render_widget(table, middle);
    frame.render_widget(Paragraph::new("q quits, arrow keys scroll").dim(), bottom);
}

fn head(model: &Model) -> Vec<Line<'_>> {
    let status = &model.status;
    let mut lines: Vec<Line<'_>> = table::summary(status).lines().map(|line| Line::from(line.to_owned())).collect();
    lines.push(Line::from(match &model.rates {
        Some(rates) => flow(rates),
        None => "requests/s: -".to_owned(),
    }));
    lines.push(Line::from(levels(status)));
    if let Some(problem) = &model.problem {
        lines.push(Line::from(Span::styled(problem.as_str(), Style::new().fg(Color::Red))));
    }
    lines.push(Line::default());
    lines
}

fn flow(rates: &Rates) -> String {
    let latency = |percent| rates.latency(percent).unwrap_or_else(|| "-".to_owned());
    format!(
        "requests/s: {}  errors/s: {}  in: {}B/s  out: {}B/s  latency p50 {} p99 {}",
        scaled(rates.requests),
        scaled(rates.errors),
        scaled(rates.bytes_in),
        scaled(rates.bytes_out),
        latency(50),
        latency(99)
    )
}

fn levels(status: &Status) -> String {
    let sum = |number: fn(&WorkerStatus) -> u64| {
        status.workers.iter().filter(|worker| !is_pool(worker.num)).map(number).sum::<u64>()
    };
    let waiting: u32 = status.queues.iter().map(|queue| queue.length).sum();
    let mut text = format!(
        "connections: {} ({} http1, {} http2, {} websocket, {} sse)  waiting: {waiting}  buffered: {}",
        sum(|worker| worker.connections),
        sum(|worker| worker.open.http1),
        sum(|worker| worker.open.http2),
        sum(|worker| worker.open.websockets),
        sum(|worker| worker.open.event_streams),
        memory(sum(|worker| worker.buffered_bytes)),
    );
    if status.workers.iter().any(|worker| is_pool(worker.num)) {
        let queued: u64 = status.workers.iter().map(|worker| worker.pool_waiting).sum();
        text += &format!("  waiting for the pool: {queued}");
    }
    text
}

fn row<'a>(worker: &WorkerStatus, rates: Option<&Rates>) -> Row<'a> {
    let rate = rates.and_then(|rates| rates.workers.get(&worker.pid));
    let heartbeat = Duration::from_millis(worker.heartbeat_age_ms).as_secs_f64();
    let texts = [
        Short(worker.num).to_string(),
        worker.pid.to_string(),
        worker.generation.to_string(),
        worker.state.word().to_owned(),
        table::span(worker.uptime_ms),
        rate.map_or_else(|| "-".to_owned(), |&rate| scaled(rate)),
        worker.requests.to_string(),
        worker.connections.to_string(),
        worker.active.to_string(),
        span(worker.event_loop.recent_us),
        span(worker.event_loop.longest_call_us),
        worker.memory_bytes.map_or_else(|| "-".to_owned(), memory),
        format!("{heartbeat:.1}s"),
    ];
    let cells = texts.into_iter().zip(COLUMNS).map(|(text, (name, width))| {
        let is_alarming = match name {
            "LAG" => worker.event_loop.recent_us >= LAG_SHOWN_US,
            "HEARTBEAT" => worker.heartbeat_age_ms >= HEARTBEAT_SHOWN_MS,
            _ => false,
        };
        let cell = Cell::from(format!("{text:>width$}", width = usize::from(width)));
        if is_alarming { cell.style(Style::new().fg(Color::Red)) } else { cell }
    });
    let style = match worker.state {
        WorkerState::Ready => Style::new(),
        WorkerState::Killed => Style::new().fg(Color::Red),
        _ => Style::new().fg(Color::Yellow),
    };
    Row::new(cells).style(style)
}

/// Bytes in units of 1024.
fn memory(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes}B"),
        1024..1_048_576 => format!("{}K", bytes >> 10),
        _ => format!("{}M", bytes >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use crate::scoreboard::EventLoop;
    use crate::staff::POOL;

    fn screen(model: &Model, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, model)).unwrap();
        let buffer = terminal.backend().buffer();
        let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..height).map(line).collect()
    }

    fn status(uptime_ms: u64) -> Status {
        let worker = WorkerStatus {
            num: 1,
            pid: 4711,
            generation: 2,
            state: WorkerState::Ready,
            uptime_ms,
            heartbeat_age_ms: 240,
            requests: uptime_ms,
            connections: 3,
            memory_bytes: Some(50 << 20),
            event_loop: EventLoop { recent_us: 2500, longest_call_us: 1_500_000, ..EventLoop::default() },
            ..WorkerStatus::default()
        };
        let pool = WorkerStatus { num: POOL + 1, pid: 4712, connections: 1, ..worker.clone() };
        let mut status = Status {
            version: "9.9.9".to_owned(),
            pid: 4700,
            uptime_ms,
            generation: 2,
            workers_wanted: 1,
            listening: vec!["http://127.0.0.1:5000/".to_owned()],
            workers: vec![worker, pool],
            ..Status::default()
        };
        status.totals.requests = uptime_ms;
        status.totals.durations.counts[2] = uptime_ms;
        status
    }

    #[test]
    fn what_is_shown() {
        let mut model = Model::new(status(60_000));
        model.take(Ok(status(61_000)));
        let screen = screen(&model, 120, 12);
        assert_eq!(screen[0], "pagi-server 9.9.9, pid 4700, up 1m1s, generation 2, 1 workers");
        assert_eq!(screen[1], "listening on http://127.0.0.1:5000/");
        assert_eq!(screen[2], "requests/s: 1k  errors/s: 0  in: 0B/s  out: 0B/s  latency p50 ≤2.5ms p99 ≤2.5ms");
        let levels =
            "connections: 3 (0 http1, 0 http2, 0 websocket, 0 sse)  waiting: 0  buffered: 0B  waiting for the pool: 0";
        assert_eq!(screen[3], levels);
        let heading = "    NUM      PID  GEN     STATE  UPTIME   REQ/S  REQUESTS  CONNS ACTIVE     LAG  LONGEST  MEMORY HEARTBEAT";
        assert_eq!(screen[5], heading);
        let worker = "      1     4711    2     ready    1m1s      1k     61000      3      0   2.5ms     1.5s     50M      0.2s";
        assert_eq!(screen[6], worker);
        assert!(screen[7].starts_with(" pool-1     4712"), "{screen:#?}");
        assert_eq!(screen[11], "q quits, arrow keys scroll");
    }

    #[test]
    fn a_small_terminal_and_a_server_that_is_away() {
        let mut model = Model::new(status(60_000));
        model.take(Err("Cannot connect to /run/x: gone".to_owned()));
        let lines = screen(&model, 40, 9);
        assert_eq!(lines[4], "Cannot connect to /run/x: gone");
        for (width, height) in [(1, 1), (200, 3), (5, 40)] {
            assert_eq!(screen(&model, width, height).len(), usize::from(height));
        }
        model.scroll(1);
        assert!(screen(&model, 120, 12).iter().all(|line| !line.contains(" 4711 ")), "scrolled away");
    }
}
