// Package build says which build of the program runs.
package build

import "runtime/debug"

// Info is what is known of a build.
type Info struct {
	Version string `json:"version"`
	// Commit and Time are those of the source, "" where it was built without
	// its repository; Modified says that the source differed from the commit.
	Commit   string `json:"commit,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	// Go is the version of the toolchain.
	Go string `json:"go"`
}

// Read returns what the toolchain has written into the program.
func Read(version string) Info {
	stamped, ok := debug.ReadBuildInfo()
	if !ok {
		return Info{Version: version}
	}
	return from(version, stamped)
}

func from(version string, stamped *debug.BuildInfo) Info {
	info := Info{Version: version, Go: stamped.GoVersion}
	for _, setting := range stamped.Settings {
		switch setting.Key {
		case "vcs.revision":
			info.Commit = setting.Value
		case "vcs.time":
			info.Time = setting.Value
		case "vcs.modified":
			info.Modified = setting.Value == "true"
		}
	}
	return info
}

// String is the build in one line.
func (i Info) String() string {
	text := i.Version
	switch {
	case i.Commit == "":
		text += ", built without its repository"
	case i.Modified:
		text += ", commit " + i.Commit + " of " + i.Time + " with changes"
	default:
		text += ", commit " + i.Commit + " of " + i.Time
	}
	return text + ", " + i.Go
}
