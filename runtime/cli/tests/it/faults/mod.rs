//! What a fleet must survive, each fault shown to real processes: [`crash`] kills them at every state of a run,
//! [`disks`] fills what they write to, [`links`] cuts what they speak over, [`clocks`] sets their time, [`floods`]
//! gives them too much, [`names`] lets two claim one name.
//!
//! What needs a tool beside the program, or a minute, is ignored here; `.ci/run` installs the tools and runs it.

mod clocks;
mod crash;
mod disks;
mod floods;
mod links;
mod names;
