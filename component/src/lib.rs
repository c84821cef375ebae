//! Tandem MUC: everything of the component that touches the world.

pub mod store;
