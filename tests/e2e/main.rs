//! The stories, one module each, and the rules of the house. One binary, so that it links once.

mod adverts;
mod buffer;
mod clocks;
mod delivery;
mod field;
mod foreign;
mod forgery;
mod full;
mod home;
mod hostile;
mod identity;
mod page;
mod paths;
mod streams;
mod support;
mod tidy;
mod waves;
