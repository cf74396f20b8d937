package email

import (
	"bytes"
	"encoding/json"

	"github.com/jobdrop/jobdrop/internal/delivery"
)

// Mail is a mail to one recipient.
type Mail struct {
	To   string
	Data []byte // as it goes over the wire, but for the escape of points at the beginning of lines
}

// Mails returns what [Email.Send] would send to whom, without a connection. Only the boundary between the parts
// differs.
func (e *Email) Mails(m delivery.Message) ([]Mail, error) {
	var before receipt
	if json.Unmarshal(m.Receipt, &before) != nil || before.ID != key(m.ID) {
		before = receipt{}
	}
	var all []Mail
	for _, to := range e.recipients(m, before.Told) {
		mail, err := e.write(m, to)
		if err != nil {
			return nil, err
		}
		mail.SetBoundary(key(m.ID)) // what is only shown is the same each time
		var data bytes.Buffer
		if _, err := mail.WriteTo(&data); err != nil {
			return nil, err
		}
		all = append(all, Mail{to.Address, data.Bytes()})
	}
	return all, nil
}
