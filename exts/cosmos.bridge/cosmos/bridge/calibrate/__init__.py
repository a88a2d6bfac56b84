"""What a critic is worth: good clips, planted faults, and how often each is told from the other."""
