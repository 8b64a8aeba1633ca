package trust

// KnownCount is how many certificates the table has.
var KnownCount = len(authorities())
