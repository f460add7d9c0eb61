"""Words, numbers and times as people say them: what voice and schedules both read."""
