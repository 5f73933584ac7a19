// Calls a Prism gateway with grpc-go: entries, a scan, a list, and what a failed call says.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"prism.example/gen/prism/common"
	"prism.example/gen/prism/interfaces/keyvalue"
	"prism.example/gen/prism/interfaces/list"
)

//go:generate ../../node_modules/.bin/buf generate

const prefix = "go-example:"

func main() {
	address := os.Getenv("PRISM_ADDRESS")
	if address == "" {
		address = "localhost:8980"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := run(ctx, address); err != nil {
		log.Fatalf("the gateway at %s: %v", address, err)
	}
}

func run(ctx context.Context, address string) error {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := useEntries(ctx, conn); err != nil {
		return err
	}
	return useList(ctx, conn)
}

func useEntries(ctx context.Context, conn *grpc.ClientConn) error {
	entries := keyvalue.NewKeyValueBasicInterfaceClient(conn)
	ttlSeconds := int64(60)
	for _, user := range []struct{ key, name string }{{"user:1", "alice"}, {"user:2", "bob"}} {
		request := &keyvalue.SetRequest{Key: prefix + user.key, Value: []byte(user.name), TtlSeconds: &ttlSeconds}
		if _, err := entries.Set(ctx, request); err != nil {
			return err
		}
	}
	got, err := entries.Get(ctx, &keyvalue.GetRequest{Key: prefix + "user:1"})
	if err != nil {
		return err
	}
	fmt.Printf("get user:1: %s\n", got.Value)

	scan, err := keyvalue.NewKeyValueScanInterfaceClient(conn).Scan(ctx, &keyvalue.ScanRequest{Prefix: prefix + "user:"})
	if err != nil {
		return err
	}
	for {
		entry, err := scan.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		fmt.Printf("scan: %s %s\n", entry.Key[len(prefix):], entry.Value)
	}

	_, err = entries.Get(ctx, &keyvalue.GetRequest{Key: prefix + "nobody"})
	detail := detailOf(err)
	if detail.GetReason() != common.Reason_REASON_KEY_NOT_FOUND {
		return fmt.Errorf("get nobody: %v", err)
	}
	fmt.Printf("get nobody: %s, retryable %t\n", detail.Reason, detail.Retryable)
	return nil
}

func useList(ctx context.Context, conn *grpc.ClientConn) error {
	lists := list.NewListBasicInterfaceClient(conn)
	const jobs = prefix + "jobs"
	for _, job := range []string{"job-1", "job-2"} {
		if _, err := lists.PushRight(ctx, &list.PushRightRequest{ListKey: jobs, Value: []byte(job)}); err != nil {
			return err
		}
	}
	for {
		popped, err := lists.PopLeft(ctx, &list.PopLeftRequest{ListKey: jobs})
		if err != nil {
			return err
		}
		if !popped.Found {
			return nil
		}
		fmt.Printf("pop: %s\n", popped.Value)
	}
}

// detailOf returns what the gateway says of a failed call. It is nil if the call did not fail, or
// not at the gateway.
func detailOf(err error) *common.Error {
	for _, detail := range status.Convert(err).Details() {
		if found, ok := detail.(*common.Error); ok {
			return found
		}
	}
	return nil
}
