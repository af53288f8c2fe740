module github.com/flamego/session/outage

go 1.26.0

require (
	github.com/flamego/flamego v1.14.0
	github.com/flamego/session v0.0.0
)

replace github.com/flamego/session => ../
