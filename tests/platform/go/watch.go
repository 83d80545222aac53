// A telemedicine platform in Go: hears every alert of its patients, each once, across restarts of either side.
//
//	./build ../../../target/platform-go/watch
//	watch HOST:PORT FOLDER CURSOR_FILE [SECONDS]
//
// FOLDER holds cert.pem, key.pem and ca.pem as `vitaltwin-aggregator platform add` made them. What was heard is printed as one
// line of JSON; the cursor is written to CURSOR_FILE only after it, so a line may come twice after a crash, and never not at
// all: tell them apart by `event`. Ends by itself after SECONDS, if given.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	contract "vitaltwin/v1"
)

const (
	// The centre says something each 15 s. Who hears nothing for so long has no line, whatever the connection says.
	silence = 60 * time.Second
	// Said only after what was told is dealt with. Who has begun to confirm is missed by the centre after two minutes without.
	confirmEvery = 30 * time.Second
	firstPause   = 500 * time.Millisecond
	longestPause = 30 * time.Second
)

type platform struct {
	alerts     contract.AlertServiceClient
	cursorFile string
}

func main() {
	if len(os.Args) != 4 && len(os.Args) != 5 {
		stop(2, "usage: watch HOST:PORT FOLDER CURSOR_FILE [SECONDS]")
	}
	over := context.Background()
	if len(os.Args) == 5 {
		seconds, err := strconv.ParseFloat(os.Args[4], 64)
		if err != nil {
			stop(2, "SECONDS: "+err.Error())
		}
		var cancel context.CancelFunc
		over, cancel = context.WithTimeout(over, time.Duration(seconds*float64(time.Second)))
		defer cancel()
	}
	connection, err := connect(os.Args[1], os.Args[2])
	if err != nil {
		stop(1, err.Error())
	}
	defer connection.Close()
	rand.Seed(time.Now().UnixNano())
	own := platform{contract.NewAlertServiceClient(connection), os.Args[3]}
	own.run(over)
}

func connect(address, folder string) (*grpc.ClientConn, error) {
	own, err := tls.LoadX509KeyPair(filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem"))
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(filepath.Join(folder, "ca.pem"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, errors.New("ca.pem holds no certificate: have the operator make the folder again (`platform add`)")
	}
	config := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS13}
	return grpc.Dial(address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
}

func (p platform) run(over context.Context) {
	for pause := firstPause; over.Err() == nil; {
		if p.listen(over) {
			pause = firstPause
		} else if pause *= 2; pause > longestPause {
			pause = longestPause
		}
		// Not all platforms at once when a centre comes back.
		select {
		case <-over.Done():
		case <-time.After(pause/2 + time.Duration(rand.Int63n(int64(pause/2)))):
		}
	}
}

// One stream, until it ends. True if anything was heard on it.
func (p platform) listen(over context.Context) (heard bool) {
	line, cancel := context.WithCancel(over)
	defer cancel()
	cursor, err := p.remembered()
	if err != nil {
		stop(1, err.Error())
	}
	quiet := time.AfterFunc(silence, cancel)
	defer quiet.Stop()
	stream, err := p.alerts.Watch(line, &contract.WatchAlertsRequest{Cursor: cursor})
	for confirmed := (time.Time{}); err == nil; {
		var event *contract.AlertEvent
		if event, err = stream.Recv(); err != nil {
			break
		}
		heard = true
		quiet.Reset(silence)
		switch kind := event.Kind.(type) {
		case *contract.AlertEvent_Snapshot:
			tell(event.EventId, kind.Snapshot, true)
		case *contract.AlertEvent_Change:
			tell(event.EventId, kind.Change, false)
		}
		if len(event.Cursor) > 0 {
			if failed := p.remember(event.Cursor); failed != nil {
				stop(1, failed.Error())
			}
		}
		if time.Since(confirmed) >= confirmEvery {
			confirmed = time.Now()
			_, err = p.alerts.Confirm(line, &contract.ConfirmRequest{})
		}
	}
	reason := status.Convert(err)
	switch {
	case over.Err() != nil:
	case reason.Code() == codes.Unauthenticated || reason.Code() == codes.PermissionDenied:
		stop(1, "the centre does not let this platform in: "+reason.Message()+"\nask its operator (`platform add`, `platform scope`)")
	case line.Err() != nil:
		fmt.Fprintln(os.Stderr, "nothing was heard for a minute")
	default:
		fmt.Fprintln(os.Stderr, "the stream ended: "+reason.Message())
	}
	return heard
}

// Whole or not at all: a torn cursor would be refused, and all alerts told again.
func (p platform) remember(cursor []byte) error {
	if err := os.WriteFile(p.cursorFile+".new", cursor, 0o600); err != nil {
		return err
	}
	return os.Rename(p.cursorFile+".new", p.cursorFile)
}

func (p platform) remembered() ([]byte, error) {
	cursor, err := os.ReadFile(p.cursorFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return cursor, err
}

func tell(event string, alert *contract.Alert, whole bool) {
	line, err := json.Marshal(map[string]any{
		"event":     event,
		"snapshot":  whole,
		"alert":     alert.Id,
		"patient":   alert.Patient,
		"condition": alert.Condition,
		"priority":  alert.Priority.String(),
		"state":     alert.State.String(),
		"summary":   alert.Summary,
		"testData":  alert.TestData,
	})
	if err != nil {
		stop(1, err.Error())
	}
	fmt.Println(string(line))
}

func stop(status int, why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(status)
}
