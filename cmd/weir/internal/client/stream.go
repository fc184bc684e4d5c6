package client

import (
	"errors"
	"io"

	"google.golang.org/grpc"
)

// Each calls f for every message of a stream until its end, or an error of either. Where
// f may fail, the stream's context must end afterwards.
func Each[T any](stream grpc.ServerStreamingClient[T], f func(*T) error) error {
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := f(m); err != nil {
			return err
		}
	}
}

// Pieces reads a stream of bytes piece by piece; io.EOF is its end.
func Pieces[T any](stream grpc.ServerStreamingClient[T], data func(*T) []byte) func() ([]byte, error) {
	return func() ([]byte, error) {
		m, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		return data(m), nil
	}
}
