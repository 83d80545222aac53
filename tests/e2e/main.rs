//! The stories, one module each, and the rules of the house. One binary, so that it links once.

mod buffer;
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
mod service;
mod streams;
mod support;
mod tidy;
