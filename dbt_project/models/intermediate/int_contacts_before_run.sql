{{ before_run('contacts', [('contact_id', 'text'), ('record_state', 'text')]) }}
