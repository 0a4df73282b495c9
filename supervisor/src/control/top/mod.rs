//! `pagictl top`: the server in a terminal, as it is now. [`view`] draws, [`model`] knows what; this file asks the
//! server, reads keys and gives the terminal back as it was.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use super::command::{Failed, USAGE, fetch_status, shown};
use super::status::Status;
use model::Model;

mod model;
mod view;

/// How soon a key is seen at the latest when nothing else happens.
const GLANCE: Duration = Duration::from_millis(100);

/// Signals that end the command: without a handler the terminal would stay as the display needs it.
const SIGNALS: [i32; 3] = [signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP, signal_hook::consts::SIGINT];

/// Shows the server until the user leaves. The first answer is waited for, so that a server that is not there is
/// reported where the user can read it.
pub(super) fn run(socket: &Path, interval: Duration, patience: Option<Duration>) -> Result<String, Failed> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        let text = "pagictl top needs a terminal; pagictl status --watch does without one";
        return Err((text.to_owned(), USAGE));
    }
    let mut model = Model::new(fetch_status(socket, patience)?);
    let ended = Arc::new(AtomicBool::new(false));
    for signal in SIGNALS {
        signal_hook::flag::register(signal, Arc::clone(&ended)).map_err(|error| shown(&error))?;
    }
    let (sender, answers) = channel();
    let path = socket.to_owned();
    // A server that does not answer must not keep the user from leaving.
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(interval);
            if sender.send(fetch_status(&path, patience)).is_err() {
                return;
            }
        }
    });
    let mut terminal = ratatui::try_init().map_err(|error| shown(&error))?;
    let outcome = display(&mut terminal, &mut model, &answers, &ended);
    ratatui::restore();
    outcome.map(|()| String::new()).map_err(|error| shown(&error))
}

fn display(
    terminal: &mut DefaultTerminal,
    model: &mut Model,
    answers: &Receiver<Result<Status, Failed>>,
    ended: &AtomicBool,
) -> io::Result<()> {
    while !ended.load(Ordering::Relaxed) {
        terminal.draw(|frame| view::draw(frame, model))?;
        let mut changed = false;
        while !changed && !ended.load(Ordering::Relaxed) {
            match answers.try_recv() {
                Ok(answer) => {
                    model.take(answer.map_err(|(text, _)| text));
                    changed = true;
                }
                Err(TryRecvError::Empty) => {}
                // The thread sends as long as we listen.
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
            if event::poll(if changed { Duration::ZERO } else { GLANCE })? {
                match event::read()? {
                    Event::Key(key) if key.kind == KeyEventKind::Release => {}
                    Event::Key(key) => match key.code {
                        KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(()),
                        KeyCode::Down | KeyCode::Char('j') => model.scroll(1),
                        KeyCode::Up | KeyCode::Char('k') => model.scroll(-1),
                        KeyCode::PageDown => model.scroll(10),
                        KeyCode::PageUp => model.scroll(-10),
                        _ => {}
                    },
                    _ => {}
                }
                changed = true;
            }
        }
    }
    Ok(())
}
