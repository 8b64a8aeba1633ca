package sheet

// Skipped is what tests see of skipped.
var Skipped = skipped
