use crate::Outcome;
use crate::args::Lab;
pub fn lab(_args: &Lab) -> Outcome {
    Err(crate::problem::of("not yet").into())
}
