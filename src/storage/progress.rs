//! What work of minutes tells while it lasts: stages with their progress, and what is found on the way.

/// Something in a data directory that is not as the format says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// `table Music`, `index Music.by_year`, `catalog`, `files`, `request tokens`.
    pub place: String,
    pub what: String,
}

/// Who watches. Called on the thread that works, so what it does must be short.
pub trait Observer {
    /// A stage begins. `total` is how far [`Observer::advance`] will come, roughly; 0: not known.
    fn begin(&mut self, stage: &str, total: u64);

    /// How far the stage has come, from 0 up.
    fn advance(&mut self, done: u64);

    fn find(&mut self, finding: Finding);

    /// Something worth a line that is no fault.
    fn note(&mut self, line: &str);
}

/// Rows between two calls of [`Observer::advance`].
const ROWS_PER_ADVANCE: u64 = 256;

/// Counts the rows of a stage and tells the observer now and then.
pub(super) struct Meter {
    done: u64,
}

impl Meter {
    pub fn begin(observer: &mut dyn Observer, stage: &str, total: u64) -> Meter {
        observer.begin(stage, total);
        Meter { done: 0 }
    }

    pub fn step(&mut self, observer: &mut dyn Observer) {
        self.done += 1;
        if self.done.is_multiple_of(ROWS_PER_ADVANCE) {
            observer.advance(self.done);
        }
    }
}
