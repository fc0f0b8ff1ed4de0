# XEP-0289 8 (fmuc.md 6.5): two users of one nick on two nodes: each node gives the other's an alias, and private messages find him
site wonderland rooms.wonderland.lit
site denmark    talk.denmark.lit      uplink elsinore -> rabbithole@rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user horatio horatio@wonderland.lit/guest
user hamlet hamlet@denmark.lit/castle

alice joins rabbithole@rooms.wonderland.lit as Alice
horatio joins rabbithole@rooms.wonderland.lit as Hamlet
hamlet sends
  <presence to='elsinore@talk.denmark.lit/Hamlet'><x xmlns='http://jabber.org/protocol/muc'/></presence>
denmark sends wonderland
  <presence from='elsinore@talk.denmark.lit/Hamlet' to='rabbithole@rooms.wonderland.lit/Hamlet'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hamlet@denmark.lit/castle'/>
    <x xmlns='http://jabber.org/protocol/muc'/><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Hamlet (talk.denmark.lit)'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x></presence>
horatio receives
  <presence from='rabbithole@rooms.wonderland.lit/Hamlet (talk.denmark.lit)'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x></presence>
wonderland sends denmark
  <presence from='rabbithole@rooms.wonderland.lit/Alice' to='elsinore@talk.denmark.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='alice@wonderland.lit/rabbit'/>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Hamlet' to='elsinore@talk.denmark.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='horatio@wonderland.lit/guest'/>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Hamlet (talk.denmark.lit)' to='elsinore@talk.denmark.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hamlet@denmark.lit/castle'/>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit' to='elsinore@talk.denmark.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='rabbithole@rooms.wonderland.lit'/><subject/></message>
hamlet receives
  <presence from='elsinore@talk.denmark.lit/Hamlet'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hamlet@denmark.lit/castle'/><status code='110'/></x></presence>
  <message type='groupchat' from='elsinore@talk.denmark.lit'><subject/></message>
  <presence from='elsinore@talk.denmark.lit/Alice'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
  <presence from='elsinore@talk.denmark.lit/Hamlet (rooms.wonderland.lit)'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>

alice sends
  <message type='chat' to='rabbithole@rooms.wonderland.lit/Hamlet (talk.denmark.lit)' id='p1'>
    <body>Which one are you?</body></message>
wonderland sends denmark
  <message type='chat' from='rabbithole@rooms.wonderland.lit/Alice' to='elsinore@talk.denmark.lit/Hamlet' id='p1'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='alice@wonderland.lit/rabbit'/>
    <body>Which one are you?</body></message>
hamlet receives
  <message type='chat' from='elsinore@talk.denmark.lit/Alice' id='p1'><body>Which one are you?</body>
    <x xmlns='http://jabber.org/protocol/muc#user'/></message>
horatio receives nothing

hamlet sends
  <message type='groupchat' to='elsinore@talk.denmark.lit' id='m1'><body>The Dane</body></message>
hamlet receives
  <message type='groupchat' from='elsinore@talk.denmark.lit/Hamlet' id='m1'><body>The Dane</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{one}'/></message>
denmark sends wonderland
  <message type='groupchat' from='elsinore@talk.denmark.lit/Hamlet' to='rabbithole@rooms.wonderland.lit' id='m1'>
    <body>The Dane</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{one}'/>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hamlet@denmark.lit/castle'/></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hamlet (talk.denmark.lit)' id='m1'><body>The Dane</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
horatio receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hamlet (talk.denmark.lit)' id='m1'><body>The Dane</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
