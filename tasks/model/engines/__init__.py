"""How a network scores clips: one interface, an engine for each kind of machine, and the check that an engine must pass first."""
