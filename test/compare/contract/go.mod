// What every program of the comparison has in common. It needs nothing, so that it can
// be built into a program with any version of any session library.
module github.com/flamego/session/test/compare/contract

go 1.26.0
