//! A part of a run's hosts: the I-th of N, so that several machines can share a hosts file between them.
//!
//! Pure: what the environment says is given. Every N-th host is of the same part, as with nextest's `--partition`: a slow rack
//! whose hosts stand together is shared out, and parts differ by one host at most.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The I-th of N parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Partition {
    /// Which one, from 1.
    pub index: usize,
    /// How many there are.
    pub of: usize,
}

impl Partition {
    /// Whether the host in this place of the selection, from 0, belongs to it.
    #[must_use]
    pub fn includes(self, place: usize) -> bool {
        place % self.of == self.index - 1
    }

    /// The place in the whole selection of the host in this place of the part, both from 0.
    #[must_use]
    pub fn place(self, place: usize) -> usize {
        place.saturating_mul(self.of).saturating_add(self.index - 1)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

/// A part as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionRequest {
    /// This one.
    Part(Partition),
    /// The one that belongs to this task of a Slurm array.
    Auto,
    /// Of so many, the one that belongs to this task of a Slurm array, or of an indexed Job of Kubernetes.
    AutoOf(usize),
}

/// Why the surroundings do not say which part it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PartitionError {
    message: String,
    /// The way out.
    pub hint: &'static str,
}

const TASK: &str = "SLURM_ARRAY_TASK_ID";
const FIRST: &str = "SLURM_ARRAY_TASK_MIN";
const LAST: &str = "SLURM_ARRAY_TASK_MAX";
const COUNT: &str = "SLURM_ARRAY_TASK_COUNT";
const STEP: &str = "SLURM_ARRAY_TASK_STEP";
const COMPLETION: &str = "JOB_COMPLETION_INDEX";

/// What to do where an array is none that can be counted through.
const SAY_HOW_MANY: &str =
    "`--partition auto/N` with the number of parts, and an array that begins at 1: `--array=1-N`";

impl PartitionRequest {
    /// The part that is meant, by what `var` says of the environment.
    ///
    /// # Errors
    /// When that says nothing, or something by which the hosts would not be shared out without gaps.
    pub fn resolve<'a>(self, var: impl Fn(&str) -> Option<&'a str>) -> Result<Partition, PartitionError> {
        let number = |name: &str| {
            var(name)
                .map(|text| {
                    let wrong = || error(format!("`{name}` is `{text}`, which is no number"), SAY_HOW_MANY);
                    text.trim().parse::<usize>().map_err(|_| wrong())
                })
                .transpose()
        };
        match self {
            Self::Part(partition) => Ok(partition),
            Self::Auto => array(&number),
            Self::AutoOf(of) => {
                let index = index(of, &number)?;
                Ok(Partition { index, of })
            }
        }
    }
}

type Number<'a> = &'a dyn Fn(&str) -> Result<Option<usize>, PartitionError>;

/// All tasks of a Slurm array, of which this is one.
fn array(number: Number<'_>) -> Result<Partition, PartitionError> {
    let (Some(task), Some(first), Some(count)) = (number(TASK)?, number(FIRST)?, number(COUNT)?) else {
        let message = format!("`--partition auto`: the environment does not have {TASK}, {FIRST} and {COUNT}");
        return Err(error(
            message,
            "it is for tasks of a Slurm array; Kubernetes does not say how many there are: `auto/N`",
        ));
    };
    let last = number(LAST)?;
    let step = number(STEP)?.unwrap_or(1);
    let tasks = match last {
        Some(last) => format!("{first} to {last}"),
        None => format!("from {first}"),
    };
    let whole = step == 1 && last.is_none_or(|last| last.checked_sub(first).is_some_and(|more| more + 1 == count));
    if !whole {
        let message =
            format!("`--partition auto`: the array has a step or gaps: {count} tasks, {tasks}, in steps of {step}");
        return Err(error(message, SAY_HOW_MANY));
    }
    task.checked_sub(first)
        .filter(|place| *place < count)
        .map(|place| Partition { index: place + 1, of: count })
        .ok_or_else(|| {
            let message = format!("`--partition auto`: task {task} is none of the array's {count}, {tasks}");
            error(message, SAY_HOW_MANY)
        })
}

/// Which of `of` parts this task or pod is for.
fn index(of: usize, number: Number<'_>) -> Result<usize, PartitionError> {
    let asked = format!("`--partition auto/{of}`");
    match (number(TASK)?, number(COMPLETION)?) {
        (Some(_), Some(_)) => Err(error(
            format!("{asked}: the environment has both {TASK} and {COMPLETION}"),
            "say which part it is: `--partition I/N`",
        )),
        (None, None) => Err(error(
            format!("{asked}: the environment has neither {TASK} nor {COMPLETION}"),
            "it is for tasks of a Slurm array and pods of an indexed Job; elsewhere say which part it is: `--partition I/N`",
        )),
        (Some(task), None) if task == 0 || number(FIRST)? == Some(0) => Err(error(
            format!("{asked}: the array begins at 0, and parts are counted from 1"),
            "`--array=1-N`; or `--partition auto` for an array that is done as a whole",
        )),
        (Some(task), None) if task <= of => Ok(task),
        (None, Some(pod)) if pod < of => Ok(pod + 1),
        (Some(task), None) => {
            Err(error(format!("{asked}: there is no part for task {task}"), "N is the last task of the whole array"))
        }
        (None, Some(pod)) => Err(error(
            format!("{asked}: there is no part for the pod of index {pod}"),
            "N is the `completions` of the Job, whose pods are counted from 0",
        )),
    }
}

fn error(message: String, hint: &'static str) -> PartitionError {
    PartitionError { message, hint }
}

impl FromStr for PartitionRequest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no part of the hosts: write `2/5`, `auto` or `auto/5`");
        let count = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<usize>().ok()).flatten()
        };
        match text.split_once('/') {
            None if text == "auto" => Ok(Self::Auto),
            None => Err(wrong()),
            Some((index, of)) => {
                let of = count(of).ok_or_else(wrong)?;
                if of == 0 {
                    return Err("there are no 0 parts: write `2/5` for the second of five".to_owned());
                }
                if index == "auto" {
                    return Ok(Self::AutoOf(of));
                }
                let index = count(index).ok_or_else(wrong)?;
                if index == 0 || index > of {
                    return Err(format!("parts are counted from 1 to {of}: there is no part {index}"));
                }
                Ok(Self::Part(Partition { index, of }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(asked: &str, environment: &[(&str, &str)]) -> Result<String, String> {
        let var = |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let asked: PartitionRequest = asked.parse()?;
        asked.resolve(var).map(|part| part.to_string()).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn refused(asked: &str, environment: &[(&str, &str)], because: &str) {
        let said = resolve(asked, environment).unwrap_err();
        assert!(said.contains(because), "{said}");
    }

    proptest::proptest! {
        #[test]
        fn every_host_is_in_one_part(of in 1_usize..40, hosts in 0_usize..200) {
            let parts = (1..=of).map(|index| Partition { index, of });
            let sizes: Vec<usize> = parts.clone().map(|part| (0..hosts).filter(|&at| part.includes(at)).count()).collect();
            proptest::prop_assert_eq!(sizes.iter().sum::<usize>(), hosts);
            proptest::prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
            for place in 0..hosts {
                proptest::prop_assert_eq!(parts.clone().filter(|part| part.includes(place)).count(), 1);
            }
            // And goes back to its place.
            for part in parts {
                let own: Vec<usize> = (0..hosts).filter(|&at| part.includes(at)).collect();
                let back: Vec<usize> = (0..own.len()).map(|at| part.place(at)).collect();
                proptest::prop_assert_eq!(own, back);
            }
        }
    }

    #[test]
    fn a_part_is_a_number_of_a_number() {
        assert_eq!(resolve("2/5", &[]), Ok("2/5".to_owned()));
        for wrong in
            ["", "2", "0/5", "6/5", "2/0", "a/5", "2/", "/5", "+2/5", "2/5/6", "auto/", "auto/0", "Auto", " 2/5"]
        {
            assert!(resolve(wrong, &[]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn slurm_says_which_and_of_how_many() {
        let of = |task, first, last, count| [(TASK, task), (FIRST, first), (LAST, last), (COUNT, count)];
        assert_eq!(resolve("auto", &of("0", "0", "9", "10")), Ok("1/10".to_owned()));
        assert_eq!(resolve("auto", &of("7", "5", "8", "4")), Ok("3/4".to_owned()));
        assert_eq!(
            resolve("auto", &of("3", "5", "8", "4")[..]),
            Err("`--partition auto`: task 3 is none of the array's 4, 5 to 8".to_owned())
        );
        refused("auto", &of("1", "1", "9", "5"), "a step or gaps: 5 tasks, 1 to 9, in steps of 1");
        let stepped = [(TASK, "1"), (FIRST, "1"), (LAST, "9"), (COUNT, "5"), (STEP, "2")];
        refused("auto", &stepped, "in steps of 2");
        refused("auto", &[(TASK, "1"), (FIRST, "1"), (COUNT, "3"), (STEP, "2")], "in steps of 2");
        refused("auto", &[], "does not have");
        refused("auto", &[(COMPLETION, "1")], "does not have");
        refused("auto", &of("x", "0", "9", "10"), "`SLURM_ARRAY_TASK_ID` is `x`, which is no number");
    }

    #[test]
    fn some_parts_can_be_done_again() {
        // `--array=3,7` of ten.
        let again = [(TASK, "7"), (FIRST, "3"), (LAST, "7"), (COUNT, "2")];
        assert_eq!(resolve("auto/10", &again), Ok("7/10".to_owned()));
        refused("auto", &again, "a step or gaps");
        refused("auto/5", &again, "there is no part for task 7");
        refused("auto/10", &[(TASK, "0"), (FIRST, "0")], "begins at 0");
        refused("auto/10", &[(TASK, "4"), (FIRST, "0")], "begins at 0");
        assert_eq!(resolve("auto/3", &[(COMPLETION, "0")]), Ok("1/3".to_owned()));
        assert_eq!(resolve("auto/3", &[(COMPLETION, "2")]), Ok("3/3".to_owned()));
        refused("auto/3", &[(COMPLETION, "3")], "the pod of index 3");
        refused("auto/3", &[(COMPLETION, "1"), (TASK, "1")], "both");
        refused("auto/3", &[], "neither");
    }
}
