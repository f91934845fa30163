"""Plan several trainings on one dataset, and put their networks into one table."""
