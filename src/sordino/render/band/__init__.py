"""Who plays what and when: styles, progressions, drums, bass, chords, melodies, time. No sound yet."""
