//! Which servers answer for which names: the longest domain decides.
