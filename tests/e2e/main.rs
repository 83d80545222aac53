//! The stories, one module each, and the rules of the house. One binary, so that it links once.

mod delivery;
mod foreign;
mod identity;
mod paths;
mod support;
mod tidy;
