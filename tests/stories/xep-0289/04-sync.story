# XEP-0289 5.1, listings 4, 5: the joined node sends occupants, the echo of the newcomer, history and subject; the joining node shows it without fmuc
# Corrected: the subject is Hatter's throughout; delays are elements of XEP-0203 (fmuc.md 1.3).
site wonderland rooms.wonderland.lit
site denmark    talk.denmark.lit
room rabbithole@rooms.wonderland.lit anonymity=NonAnonymous owner=alice@wonderland.lit participants-set-subject
room elsinore@talk.denmark.lit anonymity=NonAnonymous uplink=rabbithole@rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hamlet hamlet@denmark.lit/castle
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'>
    <body>This is an old message from the history</body></message>

hatter sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m2'>
    <body>This is another old message from the history</body></message>
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='s1'><subject>This is the subject</subject></message>
swallow

hatter leaves rabbithole@rooms.wonderland.lit
hamlet sends
  <presence to='elsinore@talk.denmark.lit/Hamlet'><x xmlns='http://jabber.org/protocol/muc'/></presence>
denmark sends wonderland
  <presence from='elsinore@talk.denmark.lit/Hamlet' to='rabbithole@rooms.wonderland.lit/Hamlet'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hamlet@denmark.lit/castle'/>
    <x xmlns='http://jabber.org/protocol/muc'/><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hamlet@denmark.lit/castle'/></x></presence>
wonderland sends denmark
  <presence from='rabbithole@rooms.wonderland.lit/Alice' to='elsinore@talk.denmark.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='alice@wonderland.lit/rabbit'/>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='owner' role='moderator' jid='alice@wonderland.lit/rabbit'/></x></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Hamlet' to='elsinore@talk.denmark.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hamlet@denmark.lit/castle'/>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hamlet@denmark.lit/castle'/></x></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' to='elsinore@talk.denmark.lit' id='m1'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='alice@wonderland.lit/rabbit'/>
    <body>This is an old message from the history</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/>
    <delay xmlns='urn:xmpp:delay' from='rabbithole@rooms.wonderland.lit' stamp='{t1}'/></message>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hatter' to='elsinore@talk.denmark.lit' id='m2'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hatter@wonderland.lit/tea'/>
    <body>This is another old message from the history</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{two}'/>
    <delay xmlns='urn:xmpp:delay' from='rabbithole@rooms.wonderland.lit' stamp='{t2}'/></message>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hatter' to='elsinore@talk.denmark.lit' id='s1'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hatter@wonderland.lit/tea'/>
    <subject>This is the subject</subject>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{three}'/>
    <delay xmlns='urn:xmpp:delay' from='rabbithole@rooms.wonderland.lit' stamp='{t3}'/></message>
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Hamlet'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hamlet@denmark.lit/castle'/></x></presence>
hamlet receives
  <presence from='elsinore@talk.denmark.lit/Hamlet'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hamlet@denmark.lit/castle'/><status code='100'/>
    <status code='110'/></x></presence>
  <message type='groupchat' from='elsinore@talk.denmark.lit'><subject/></message>
  <presence from='elsinore@talk.denmark.lit/Alice'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='owner' role='moderator' jid='alice@wonderland.lit/rabbit'/></x></presence>
  <message type='groupchat' from='elsinore@talk.denmark.lit/Alice' id='m1'>
    <body>This is an old message from the history</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{one}'/>
    <delay xmlns='urn:xmpp:delay' from='elsinore@talk.denmark.lit' stamp='{t1}'/>
    <delay xmlns='urn:xmpp:delay' from='rabbithole@rooms.wonderland.lit' stamp='{t1}'/></message>
  <message type='groupchat' from='elsinore@talk.denmark.lit/Hatter' id='m2'>
    <body>This is another old message from the history</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{two}'/>
    <delay xmlns='urn:xmpp:delay' from='elsinore@talk.denmark.lit' stamp='{t2}'/>
    <delay xmlns='urn:xmpp:delay' from='rabbithole@rooms.wonderland.lit' stamp='{t2}'/></message>
  <message type='groupchat' from='elsinore@talk.denmark.lit/Hatter' id='s1'><subject>This is the subject</subject>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{three}'/>
    <delay xmlns='urn:xmpp:delay' from='elsinore@talk.denmark.lit' stamp='{t3}'/>
    <delay xmlns='urn:xmpp:delay' from='rabbithole@rooms.wonderland.lit' stamp='{t3}'/></message>
denmark sends nothing
