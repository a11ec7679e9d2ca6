"""What must survive: the lock record, the journal, and what the cloud is yet to be told."""
