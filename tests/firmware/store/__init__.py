"""The lock record and the journal, against failing disks and power cuts."""
