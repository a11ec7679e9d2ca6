"""What must survive: the lock record and the journal."""
