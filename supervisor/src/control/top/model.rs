//! What the display shows.

use crate::control::rates::Rates;
use crate::control::status::Status;

/// The server as it was seen last.
pub(super) struct Model {
    pub(super) status: Status,
    /// What happened since the look before.
    pub(super) rates: Option<Rates>,
    /// Why there is nothing newer.
    pub(super) problem: Option<String>,
    /// Workers above the first line of the table.
    pub(super) hidden: usize,
}

impl Model {
    pub(super) fn new(status: Status) -> Self {
        Self { status, rates: None, problem: None, hidden: 0 }
    }

    /// Takes the next answer. What is shown stays while the server does not answer: in an upgrade it soon will again.
    pub(super) fn take(&mut self, answer: Result<Status, String>) {
        match answer {
            Ok(status) => {
                self.rates = Rates::between(&self.status, &status);
                self.status = status;
                self.problem = None;
                self.scroll(0);
            }
            Err(problem) => {
                self.rates = None;
                self.problem = Some(problem);
            }
        }
    }

    /// Moves the table; the last worker is never scrolled away.
    pub(super) fn scroll(&mut self, lines: isize) {
        let last = self.status.workers.len().saturating_sub(1);
        self.hidden = self.hidden.saturating_add_signed(lines).min(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::status::WorkerStatus;

    fn status(uptime_ms: u64, workers: usize) -> Status {
        Status { pid: 1, uptime_ms, workers: vec![WorkerStatus::default(); workers], ..Status::default() }
    }

    #[test]
    fn a_server_that_is_away_is_still_shown() {
        let mut model = Model::new(status(1000, 1));
        model.take(Ok(status(2000, 2)));
        assert!(model.rates.is_some());
        model.take(Err("gone".to_owned()));
        assert_eq!((model.status.workers.len(), model.problem.as_deref()), (2, Some("gone")));
        assert!(model.rates.is_none(), "rates of a while ago are no rates");
        model.take(Ok(status(3000, 2)));
        assert!(model.problem.is_none());
    }

    #[test]
    fn scrolling_stays_within_the_table() {
        let mut model = Model::new(status(1000, 5));
        model.scroll(-1);
        assert_eq!(model.hidden, 0);
        model.scroll(10);
        assert_eq!(model.hidden, 4);
        model.take(Ok(status(2000, 2)));
        assert_eq!(model.hidden, 1);
    }
}
