package scalars

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math"
)

// recordBytes is the length from which a record is passed over without being held. An event with scalars has some
// hundred bytes; images, histograms and graphs have more.
const recordBytes = 1 << 20

// headBytes is what is looked at of such a record, to say what it may have held.
const headBytes = 64

// readEvents reads an event file of TensorBoard: a TFRecord file of tensorboard.Event messages. Each record is a
// length of eight bytes, its sum of four, the data, and their sum: little-endian, the sums masked CRC-32C. A file that
// ends within a record is still being written; what came before counts. A wrong sum ends the file with a note, as
// nothing after it has a known place.
func readEvents(r io.Reader, c *collector) error {
	sums := crc32.MakeTable(crc32.Castagnoli)
	masked := func(sum uint32) uint32 { return (sum>>15 | sum<<17) + 0xa282ead8 }
	in := bufio.NewReaderSize(r, 64<<10)
	var at, long, malformed int64
	defer func() {
		if long > 0 {
			c.note("%s left out: longer than %s", count(long, "summary is", "summaries are"), size(recordBytes))
		}
		if malformed > 0 {
			c.note("%s not an event", count(malformed, "record is", "records are"))
		}
	}()
	var head [12]byte
	var tail [4]byte
	var data []byte
	for {
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return endOf(err)
		}
		if masked(crc32.Checksum(head[:8], sums)) != binary.LittleEndian.Uint32(head[8:]) {
			c.note("damaged at byte %d (the length's checksum does not match): the rest is left out", at)
			return nil
		}
		length := binary.LittleEndian.Uint64(head[:8])
		var sum uint32
		summary := false
		if length <= recordBytes {
			data = append(data[:0], make([]byte, length)...)
			if _, err := io.ReadFull(in, data); err != nil {
				return endOf(err)
			}
			sum = crc32.Checksum(data, sums)
		} else {
			begin, _ := in.Peek(headBytes) // fails again below
			summary = maySummarize(begin)
			for left := length; left > 0; {
				part, err := in.Peek(int(min(left, uint64(in.Size())))) // #nosec G115 -- no more than the buffer
				sum = crc32.Update(sum, sums, part)
				left -= uint64(len(part))
				if _, skip := in.Discard(len(part)); err != nil || skip != nil {
					return endOf(err)
				}
			}
		}
		if _, err := io.ReadFull(in, tail[:]); err != nil {
			return endOf(err)
		}
		if masked(sum) != binary.LittleEndian.Uint32(tail[:]) {
			c.note("damaged at byte %d (a record's checksum does not match): the rest is left out", at)
			return nil
		}
		at += int64(length) + 16 // #nosec G115 -- they were read
		switch {
		case summary:
			long++
		case length <= recordBytes && !readEvent(data, c):
			malformed++
		}
	}
}

// endOf returns nil for the end of a file, also in the middle of a record.
func endOf(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// maySummarize reports whether an event that begins so may have a summary: its long field is not a graph or a run's
// metadata.
func maySummarize(begin []byte) bool {
	for len(begin) > 0 {
		key, n := binary.Uvarint(begin)
		if n <= 0 {
			return true
		}
		begin = begin[n:]
		switch size := 8; key & 7 {
		case varint:
			_, size = binary.Uvarint(begin)
			fallthrough
		case fixed8:
			if size <= 0 || size > len(begin) {
				return true
			}
			begin = begin[size:]
		default:
			id := key >> 3
			return id != 4 && id != 8 && id != 9 // graph_def, tagged_run_metadata, meta_graph_def
		}
	}
	return true
}

// readEvent reads one event's scalars, and reports whether it is a well-formed one.
func readEvent(event []byte, c *collector) bool {
	var p Point
	summaries := 0
	ok := fields(event, func(f field) bool {
		switch {
		case f.id == 1 && f.wire == fixed8:
			p.Wall = milliseconds(math.Float64frombits(f.number))
		case f.id == 2 && f.wire == varint:
			p.Step = int64(f.number) // #nosec G115 -- the format's own
		case f.id == 5 && f.wire == framed:
			summaries++
		}
		return true
	})
	if !ok || summaries == 0 {
		return ok
	}
	fields(event, func(f field) bool {
		if f.id != 5 || f.wire != framed {
			return true
		}
		framedWell := fields(f.data, func(v field) bool {
			if v.id == 1 && v.wire == framed {
				ok = readValue(v.data, p, c) && ok
			}
			return true
		})
		ok = framedWell && ok
		return true
	})
	return ok
}

// readValue reads a Summary.Value. It is a scalar as a simple_value, or as a tensor of a number that either has the
// plugin "scalars" (or the data class of scalars) and one value, or no plugin and no dimensions. The plugin is written
// with a tag's first value alone.
func readValue(message []byte, p Point, c *collector) bool {
	var tag, tensor, metadata []byte
	simple := false
	ok := fields(message, func(f field) bool {
		switch {
		case f.id == 1 && f.wire == framed:
			tag = f.data
		case f.id == 2 && f.wire == fixed4:
			p.Value, simple = float64(math.Float32frombits(uint32(f.number))), true // #nosec G115 -- four bytes
		case f.id == 8 && f.wire == framed:
			tensor = f.data
		case f.id == 9 && f.wire == framed:
			metadata = f.data
		}
		return true
	})
	if !ok {
		return false
	}
	if !simple {
		if tensor == nil {
			return true // an image, a histogram or a sound
		}
		var plugin []byte
		scalar := false
		ok = fields(metadata, func(f field) bool {
			switch {
			case f.id == 1 && f.wire == framed:
				ok = fields(f.data, func(f field) bool {
					if f.id == 1 && f.wire == framed {
						plugin = f.data
					}
					return true
				})
			case f.id == 4 && f.wire == varint:
				scalar = f.number == 1
			}
			return ok
		}) && ok
		scalar = scalar || string(plugin) == "scalars"
		if !ok || !scalar && len(plugin) > 0 {
			return ok
		}
		value, dimensions, isNumber := tensorValue(tensor)
		if !isNumber || dimensions && !scalar {
			return true
		}
		p.Value = value
	}
	c.add("", tag, p)
	return true
}

// tensorValue returns the value of a TensorProto that is exactly one number.
func tensorValue(tensor []byte) (value float64, dimensions, ok bool) {
	var dataType uint64
	fine := fields(tensor, func(f field) bool {
		switch {
		case f.id == 1 && f.wire == varint:
			dataType = f.number
		case f.id == 2 && f.wire == framed:
			fields(f.data, func(d field) bool {
				dimensions = dimensions || d.id == 2 || d.id == 3 // dim, unknown_rank
				return true
			})
		}
		return true
	})
	kind, isNumber := numberOf(dataType)
	if !fine || !isNumber {
		return 0, dimensions, false
	}
	values := 0
	fields(tensor, func(f field) bool {
		bits, one := uint64(0), false
		switch {
		case f.id == kind.field:
			bits, one = only(f, kind.element)
		case f.id == 4 && f.wire == framed && len(f.data) == kind.size: // tensor_content
			var content [8]byte
			copy(content[:], f.data)
			bits, one = binary.LittleEndian.Uint64(content[:]), true
		case f.id != 4:
			return true
		}
		switch {
		case one:
			value = kind.value(bits)
			values++
		case len(f.data) > 0:
			values += 2
		}
		return true
	})
	return value, dimensions, values == 1
}
